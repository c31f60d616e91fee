//! Prints answers for people.

use std::collections::BTreeSet;
use std::io::{self, Write};

use tributary_pipeline::explain::{
    AccountWhy, Credit, Explanation, Freshness, LinkUsed, MembershipWhy, MilestoneAnswer, Owner, Profile, RefusedLink, TouchRow,
};
use tributary_pipeline::time::minute;

use crate::table::{align_right, grouped, percent, table};

/// Most touches outside the journey, and most refused links, that are listed; the rest is counted.
const LISTED_MAX: usize = 100;

/// Prints why a milestone has its credit.
///
/// # Errors
/// When it cannot be written.
pub fn print_explanation(of: &Explanation, out: &mut impl Write) -> io::Result<()> {
    print_freshness(of.freshness.as_ref(), out)?;
    print_milestone(&of.milestone, out)?;
    if of.milestone.erased && of.touches.is_empty() && of.credit.is_empty() {
        return Ok(());
    }
    let inside = of.touches.iter().filter(|touch| touch.in_journey).count();
    writeln!(out, "\nJourney: {inside} of {} touches", of.touches.len())?;
    print_touches(&of.touches, out)?;
    for stage in &of.stages {
        let touch = of.touches.iter().find(|touch| touch.in_journey && Some(&touch.touch_id) == stage.touch_id.as_ref());
        let by = touch.map_or_else(|| "no touch up to then".to_owned(), |touch| format!("#{}", touch.number));
        writeln!(out, "{} reached {}: {by}", stage.stage, minute(stage.time_ms))?;
    }
    writeln!(out, "\nCredit, and why")?;
    print_credit(&of.credit, out)?;
    if !of.current {
        writeln!(out, "The emitted rows differ from what the state gives: messages are on their way, or the settings differ.")?;
    }
    writeln!(out, "\nProfiles behind the touches, and what joined them")?;
    of.owners.iter().try_for_each(|owner| print_owner(owner, out))
}

/// Prints a line if the answer does not include everything.
fn print_freshness(of: Option<&Freshness>, out: &mut impl Write) -> io::Result<()> {
    of.and_then(Freshness::line).map_or(Ok(()), |line| writeln!(out, "{line}"))
}

fn print_milestone(of: &MilestoneAnswer, out: &mut impl Write) -> io::Result<()> {
    let value = if of.value_minor == 0 { String::new() } else { format!(", {}", money(of.value_minor, &of.currency)) };
    let withdrawn = if of.withdrawn { "; WITHDRAWN: it has no credit" } else { "" };
    if of.erased {
        let until = of.erased_until_ms.map(minute).unwrap_or_default();
        return writeln!(
            out,
            "{} was ERASED: every event that reported it names somebody who was erased, and is void up to {until}; its credit was taken back",
            of.milestone_id
        );
    }
    match of.reached {
        true => writeln!(out, "{} reached {}{value}{withdrawn}", of.milestone_id, minute(of.time_ms))?,
        false => writeln!(out, "{} was not reached: what was reported only amends it", of.milestone_id)?,
    }
    if let Some(until_ms) = of.erased_until_ms {
        writeln!(out, "  some of what reported it was ERASED: up to {}", minute(until_ms))?;
    }
    let account = if of.account_id.is_empty() { "no account".to_owned() } else { format!("account {}", of.account_id) };
    match &of.anchor {
        Some(anchor) => writeln!(out, "  {account}; anchored by {anchor}")?,
        None => writeln!(out, "  has no anchor: no version of it names an account or a person")?,
    }
    if let Some(start_ms) = of.window_start_ms {
        writeln!(out, "  touches from {} on", minute(start_ms))?;
    }
    if of.beyond_horizon {
        writeln!(out, "  BEYOND THE HORIZON (attribution.horizon_days): touches may have been dropped, the emitted rows stay")?;
    }
    for version in &of.versions {
        let mut says: Vec<String> =
            version.occurred_at_ms.map(|at_ms| format!("reached {}", minute(at_ms))).into_iter().collect();
        let amount = |what: &str, amount: &String| format!("{what} {amount} {}", version.currency).trim().to_owned();
        says.extend(version.value.as_ref().map(|value| amount("value", value)));
        says.extend(version.refund.as_ref().map(|refund| amount("refund", refund)));
        if version.value.is_none() && version.refund.is_none() && !version.currency.is_empty() {
            says.push(format!("currency {}", version.currency));
        }
        says.extend(version.withdrawn.then(|| "withdrawn".to_owned()));
        if !version.identifiers.is_empty() {
            says.push(format!("names {}", version.identifiers.join(", ")));
        }
        let what = if version.amends { "amendment" } else { "version" };
        writeln!(out, "  {what} {} of {}: {}", version.event_id, minute(version.time_ms), says.join("; "))?;
    }
    Ok(())
}

fn print_touches(touches: &[TouchRow], out: &mut impl Write) -> io::Result<()> {
    let mut rows =
        table(&["#", "time", "channel", "source / medium / campaign", "profile", "brought by", "account then, and why", ""]);
    let mut outside = 0;
    for touch in touches {
        outside += usize::from(!touch.in_journey);
        if !touch.in_journey && outside > LISTED_MAX {
            continue;
        }
        let from = [&touch.source, &touch.medium, &touch.campaign].map(String::as_str).join(" / ");
        let number = touch.number.to_string();
        let (from, profile) = (from.trim_matches([' ', '/']), short(&touch.profile_id));
        let public = if touch.public { " (public)" } else { "" };
        let by = format!("{}{public}", touch.identifier);
        let account = account_then(touch);
        rows.add_row([&number, &minute(touch.time_ms), &touch.channel, from, &profile, &by, &account, &touch.why]);
    }
    align_right(&mut rows, ..1);
    writeln!(out, "{rows}")?;
    if outside > LISTED_MAX {
        writeln!(out, "and {} more that are not in the journey: --json has them all", outside - LISTED_MAX)?;
    }
    Ok(())
}

/// The account that a touch belongs to, and the assertion behind it.
fn account_then(touch: &TouchRow) -> String {
    let why = touch.account_why.as_ref().map(|why| format!(": {}", account_words(why))).unwrap_or_default();
    format!("{}{why}", touch.account_id)
}

fn print_credit(credit: &[Credit], out: &mut impl Write) -> io::Result<()> {
    let mut rows = table(&["model", "percent", "value", "touch", "channel", "because"]);
    let mut model = "";
    for row in credit {
        let name = if row.model == model { "" } else { &row.model };
        model = &row.model;
        let touch = row.touch.map_or_else(|| row.touch_id.clone(), |number| format!("#{number}"));
        let (percent, value) = (percent(row.weight_nano.cast_signed()), money(row.value_minor, &row.currency));
        rows.add_row([name, &percent, &value, &touch, &row.channel, &row.reason]);
    }
    align_right(&mut rows, 1..4);
    writeln!(out, "{rows}")
}

fn print_owner(of: &Owner, out: &mut impl Write) -> io::Result<()> {
    let what =
        if of.profile_id.is_empty() { format!("account {}", of.account_id) } else { format!("profile {}", of.profile_id) };
    let role = if of.role.is_empty() { String::new() } else { format!(", role {}", of.role) };
    let revoked = if of.revoked { ", consent REVOKED" } else { "" };
    let quarantined = if of.quarantined { ", QUARANTINED" } else { "" };
    writeln!(out, "{what}{role}{revoked}{quarantined}")?;
    print_accounts(&of.account_id, of.account_why.as_ref(), &of.memberships, out)?;
    for via in &of.identifiers {
        if via.path.is_empty() {
            writeln!(out, "  {}: it is named after this identifier", via.identifier)?;
            continue;
        }
        writeln!(out, "  {}:", via.identifier)?;
        via.path.iter().try_for_each(|link| writeln!(out, "    {}", link_words(link)))?;
    }
    print_refused(&of.refused, out)
}

/// Prints the account; if there are several, all of them by time.
fn print_accounts(
    account_id: &str,
    why: Option<&AccountWhy>,
    memberships: &[MembershipWhy],
    out: &mut impl Write,
) -> io::Result<()> {
    if memberships.is_empty() {
        return print_account(account_id, why, out);
    }
    for of in memberships {
        let since = of.from_ms.map_or_else(|| "at first".to_owned(), |from_ms| format!("since {}", minute(from_ms)));
        write!(out, "  {since}")?;
        print_account(&of.account_id, of.why.as_ref(), out)?;
    }
    Ok(())
}

fn print_account(account_id: &str, why: Option<&AccountWhy>, out: &mut impl Write) -> io::Result<()> {
    let Some(why) = why else { return Ok(()) };
    writeln!(out, "  account {account_id}: {}", account_words(why))?;
    why.path.iter().try_for_each(|link| writeln!(out, "    {}", link_words(link)))
}

/// `crm_account||001B, asserted for email||li@b.example on ...`.
fn account_words(why: &AccountWhy) -> String {
    let when = why.time_ms.map(|time_ms| format!(" on {}", minute(time_ms))).unwrap_or_default();
    let how = if why.how == "asserted" { "asserted for" } else { "the email domain of" };
    format!("{}, {how} {}{when}", why.names, why.by)
}

fn print_refused(refused: &[RefusedLink], out: &mut impl Write) -> io::Result<()> {
    for of in refused.iter().take(LISTED_MAX) {
        writeln!(out, "  refused: {}", link_words(&of.link))?;
        writeln!(out, "    {}", of.why)?;
    }
    if refused.len() > LISTED_MAX {
        writeln!(out, "  and {} more that are refused: --json has them all", refused.len() - LISTED_MAX)?;
    }
    Ok(())
}

/// `A = B, seen together since ... (class email)`.
fn link_words(of: &LinkUsed) -> String {
    let seen = of.earliest_ms.map(|time_ms| format!(", seen together since {}", minute(time_ms))).unwrap_or_default();
    let stated = of.stated_ms.map(|time_ms| format!(", stated {}", minute(time_ms))).unwrap_or_default();
    let public = if of.public { ", by public events alone" } else { "" };
    format!("{} = {}{seen}{stated}{public} (class {})", of.a, of.b, of.class_name)
}

/// Prints everything about an identifier's profile.
///
/// # Errors
/// When it cannot be written.
pub fn print_profile(of: &Profile, out: &mut impl Write) -> io::Result<()> {
    print_freshness(of.freshness.as_ref(), out)?;
    let account = of.profile_id.is_empty();
    let what = if account { format!("account {}", of.account_id) } else { format!("profile {}", of.profile_id) };
    writeln!(out, "{}: {what}", of.asked)?;
    if let Some(until_ms) = of.erased_until_ms {
        writeln!(out, "  ERASED: events that name it up to {} are void", minute(until_ms))?;
    }
    if !of.present {
        let why = if of.erased_until_ms.is_some() {
            "no event has named it since"
        } else {
            "the events that named it were erased or retracted"
        };
        return writeln!(out, "  nothing is known of it: {why}");
    }
    match (&of.account_why, account) {
        (Some(why), _) => print_accounts(&of.account_id, Some(why), &of.memberships, out)?,
        (None, false) => writeln!(out, "  no account: none was asserted, and it has no corporate address")?,
        (None, true) => {}
    }
    if !of.root_id.is_empty() {
        writeln!(out, "  above it: account {}, and at the top account {}", of.parent_id, of.root_id)?;
    }
    if of.quarantined {
        writeln!(out, "  QUARANTINED: its cluster is over identity.max_cluster, so that no link joins anybody")?;
    }
    print_consent(of, out)?;
    for named in &of.traits {
        writeln!(out, "  {} = {} (stated {})", named.name, named.value, minute(named.time_ms))?;
    }
    for former in &of.former {
        let (from, until) = (minute(former.from_ms), minute(former.until_ms));
        writeln!(out, "  merged: {} (its events began {from}, joined {until})", former.id)?;
    }
    match &of.freshness {
        _ if of.current => {}
        Some(freshness) if freshness.current => {
            writeln!(
                out,
                "  its units have another result, and no message is on its way to them: the settings have changed since"
            )?;
        }
        _ => writeln!(out, "  messages about it are on their way: its units do not have all of this yet")?,
    }
    print_identifiers(of, out)?;
    print_people(of, out)?;
    print_links(of, out)
}

/// Prints the people of an account.
fn print_people(of: &Profile, out: &mut impl Write) -> io::Result<()> {
    if of.people_count == 0 {
        return Ok(());
    }
    let listed = of.people.iter().map(|person| &person.profile_id).collect::<BTreeSet<_>>().len();
    writeln!(out, "People: {} of {}", listed, of.people_count)?;
    let mut rows = table(&["profile", "role", "from", "to", ""]);
    let time = |time_ms: i64, open: &str| if time_ms == 0 { open.to_owned() } else { minute(time_ms) };
    for person in &of.people {
        let (from, to) = (time(person.from_ms, "ever"), time(person.to_ms, "now"));
        let public = if person.public { "public" } else { "" };
        rows.add_row([&person.profile_id, &person.role, &from, &to, public]);
    }
    writeln!(out, "{rows}")
}

fn print_consent(of: &Profile, out: &mut impl Write) -> io::Result<()> {
    match &of.consent {
        Some(consent) if consent.granted => writeln!(out, "  consent granted {}", minute(consent.time_ms)),
        Some(consent) => writeln!(out, "  consent REVOKED {}: none of its touches counts", minute(consent.time_ms)),
        None => Ok(()),
    }
}

fn print_identifiers(of: &Profile, out: &mut impl Write) -> io::Result<()> {
    let mut rows = table(&["identifier", "first seen", "touches", "from", "to", "milestones", ""]);
    for known in &of.identifiers {
        let time = |time_ms: Option<i64>| time_ms.map(minute).unwrap_or_default();
        let brought = &known.brought;
        let milestones: Vec<&str> = brought.milestones.iter().map(|anchor| anchor.milestone_id.as_str()).collect();
        rows.add_row([
            known.identifier.clone(),
            time(known.earliest_ms),
            brought.touches.to_string(),
            time(brought.first_ms),
            time(brought.last_ms),
            milestones.join(", "),
            if known.shared { "shared: joins nobody".to_owned() } else { String::new() },
        ]);
    }
    align_right(&mut rows, 2..3);
    writeln!(out, "{rows}")
}

fn print_links(of: &Profile, out: &mut impl Write) -> io::Result<()> {
    if !of.links.is_empty() {
        writeln!(out, "Links, strongest first; those marked * hold it together")?;
    }
    for link in &of.links {
        writeln!(out, "{} {}", if link.joins { "*" } else { " " }, link_words(link))?;
    }
    if !of.refused.is_empty() {
        writeln!(out, "Refused links, which join nobody")?;
    }
    print_refused(&of.refused, out)
}

/// The beginning of a profile's id, short enough for a table.
fn short(profile_id: &str) -> String {
    profile_id.chars().take(10).collect()
}

/// A value in major units of its currency.
pub(crate) fn money(value_minor: i64, currency: &str) -> String {
    let decimals = tributary_ingest::money::currency(currency).ok().and_then(|known| known.exponent()).unwrap_or(2);
    let digits = format!("{:0>width$}", value_minor.unsigned_abs(), width = usize::from(decimals) + 1);
    let (whole, part) = digits.split_at(digits.len() - usize::from(decimals));
    let grouped = grouped(whole);
    let sign = if value_minor < 0 { "-" } else { "" };
    let part = if part.is_empty() { String::new() } else { format!(".{part}") };
    format!("{sign}{grouped}{part} {currency}")
}
