//! Records of spend: the cost of a channel or a campaign on a day.

use tributary_proto::Spend;
use tributary_runtime::stage::Rejection;

use super::record::NativeRecord;
use crate::channel::Evidence;
use crate::ignored::Ignored;
use crate::milestone::{Given, amount};
use crate::rules::Rules;
use crate::scalar::Scalar;
use crate::{money, reason};

/// Builds the message. A spend record names nobody: identifiers have no effect.
///
/// # Errors
/// When the subject or the amount is missing, or the currency is unknown.
pub(super) fn read<'a>(
    rules: &Rules,
    record: NativeRecord<'a, '_>,
    spend_id: String,
    time_ms: i64,
    ignored: &mut Ignored,
) -> Result<Spend, Rejection> {
    let mut text = |value: Scalar<'a>, field| ignored.read(value.text(field)).flatten().unwrap_or_default();
    let channel = text(record.channel, "channel");
    let source = text(record.source, "source");
    let medium = text(record.medium, "medium");
    let campaign = text(record.campaign, "campaign");
    if [&channel, &source, &medium, &campaign].iter().all(|text| text.is_empty()) {
        let detail = "a spend record needs a channel, source, medium or campaign that the money went to";
        return Err(Rejection::new(reason::FIELD_MISSING, "channel", detail));
    }
    let amount = record.value.get("value")?.map(|raw| amount(raw, "value")).transpose()?;
    let Some(amount) = amount.and_then(Given::into_value) else {
        return Err(Rejection::new(reason::FIELD_MISSING, "value", "a spend record needs an amount"));
    };
    let given = record.currency.text("currency")?;
    let given = given.as_deref().map(money::unit);
    if let Some(unit) = &given {
        money::currency(&unit.code)?;
    }
    let (amount, named) = money::agreed(&amount, "value", given.as_ref(), rules.currency)?;
    let code = given.map(|unit| unit.code.into_owned()).or(named);
    let currency = match code {
        Some(code) => money::currency(&code)?,
        None => rules.currency,
    };
    let value_minor = money::minor_units(&amount, currency)?;
    let channel = if channel.is_empty() {
        // Without a raw input: the rules for imported rows are about what people did.
        let evidence = Evidence { source: &source, medium: &medium, campaign: &campaign, ..Evidence::default() };
        rules.touches.channels.classify(evidence).to_owned()
    } else {
        channel.into_owned()
    };
    Ok(Spend {
        spend_id,
        day: rules.times.day(time_ms),
        channel,
        source: source.into_owned(),
        medium: medium.into_owned(),
        campaign: campaign.into_owned(),
        value_minor,
        currency: currency.code().to_owned(),
        dimensions: rules.dimensions.read(record.dimensions, ignored),
        // The stage sets it to the time of receipt.
        revision: 0,
    })
}
