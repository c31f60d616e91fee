//! How far back everything must be known exactly.

use std::collections::BTreeMap;

use tributary_attributor::settings::{Period, Settings, Window};
use tributary_proto::Event;
use tributary_proto::event::Body;

use super::facts::Name;
use super::people::People;
use super::placed::Reached;

const DAY_MS: i64 = 86_400_000;

/// The newest touch that each identifier brought, erased or not.
pub type Newest = BTreeMap<Name, i64>;

/// The identifier that brings a touch.
pub fn bringer(event: &Event) -> Option<Name> {
    let touches = matches!(event.body, Some(Body::Touch(_)));
    event.identifiers.first().or(event.account_identifiers.first()).filter(|_| touches).map(Name::of)
}

/// The newest touch of each identifier.
pub fn newest(events: &[Event]) -> Newest {
    let mut newest = Newest::new();
    for event in events {
        if let Some(name) = bringer(event) {
            let known = newest.entry(name).or_insert(event.time_ms);
            *known = event.time_ms.max(*known);
        }
    }
    newest
}

/// By unit, the newest touch of any identifier that ever brought one to it, wherever that touch is now: it may have belonged to the unit
/// until an assertion arrived.
pub fn newest_of_units(events: &[Event], newest: &Newest, people: &People<'_>) -> BTreeMap<String, i64> {
    let mut of_units: BTreeMap<String, i64> = BTreeMap::new();
    for event in events {
        let Some((name, newest_ms)) = bringer(event).and_then(|name| newest.get_key_value(&name)) else { continue };
        let known = of_units.entry(people.home(name, event.time_ms).unit).or_insert(*newest_ms);
        *known = (*newest_ms).max(*known);
    }
    of_units
}

/// Whether a milestone is older than the horizon, relative to the newest touch of its unit: then it may miss touches.
pub fn is_beyond(of: &Reached, newest_of_unit_ms: Option<i64>, settings: &Settings) -> bool {
    newest_of_unit_ms.is_some_and(|newest_ms| of.milestone.time_ms < newest_ms - i64::from(settings.horizon_days) * DAY_MS)
}

/// How far before a milestone touches can matter: the longest window, a day and a session gap, because a visit may begin before the window.
pub fn look_back_ms(settings: &Settings) -> i64 {
    let windows = settings.milestones.values().filter_map(|kind| kind.window).chain([settings.window]);
    let days = windows.map(|window| match window {
        Window::LookbackDays(days) => days,
        Window::Lifecycle => settings.horizon_days,
        Window::Calendar(Period::Month) => 32,
        Window::Calendar(Period::Quarter) => 93,
        Window::Calendar(Period::Year) => 367,
    });
    let gap_ms = i64::from(settings.session_gap_minutes) * 60_000;
    i64::from(days.max().unwrap_or(0)) * DAY_MS + if gap_ms > 0 { DAY_MS + gap_ms } else { 0 }
}

/// Whether a touch at `time_ms` may be dropped, given the newest touch of the identifier that brought it.
pub fn may_be_dropped(time_ms: i64, newest_ms: i64, settings: &Settings) -> bool {
    time_ms < newest_ms - i64::from(settings.horizon_days) * DAY_MS - look_back_ms(settings)
}
