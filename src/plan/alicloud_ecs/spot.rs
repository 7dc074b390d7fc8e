//! Reads how a spot instance is paid for.

use super::Spot;
use crate::plan::reader::Reader;

const LIMITED: &str = "SpotWithPriceLimit";

/// Reads `spot_strategy`, `spot_price_limit` and `spot_duration`.
pub(super) fn spot(reader: &mut Reader<'_, '_>) -> Option<Spot> {
    let strategies = [
        ("NoSpot", "NoSpot"),
        ("SpotAsPriceGo", "SpotAsPriceGo"),
        (LIMITED, LIMITED),
    ];
    let strategy = reader.one_of("spot_strategy", &strategies);
    let limited = strategy == Some(LIMITED);
    let price_limit = price_limit(reader);
    let duration = duration(reader);
    if price_limit.is_some() && !limited {
        let help = "Set `spot_strategy` to `SpotWithPriceLimit`";
        reader.error("spot_price_limit", "has no effect without a limit", help);
    }
    if limited && price_limit.is_none() {
        let help = "Write the most to pay per hour, or use `SpotAsPriceGo`";
        reader.missing("spot_price_limit", help);
    }
    let is_spot = limited || strategy == Some("SpotAsPriceGo");
    if !is_spot && reader.is_set("spot_duration") {
        let what = "has no effect without a spot instance";
        reader.error("spot_duration", what, "Set `spot_strategy`");
    }
    if is_spot && reader.is_set("dedicated_host_id") {
        let help = "ECS would start a regular instance there; remove one of them";
        reader.conflict("spot_strategy", "dedicated_host_id", help);
    }
    is_spot.then_some(Spot {
        price_limit,
        duration,
    })
}

/// Text, because a binary fraction is no price.
fn price_limit(reader: &mut Reader<'_, '_>) -> Option<String> {
    let price = reader.text("spot_price_limit")?.value;
    let (whole, fraction) = price.split_once('.').unwrap_or((&price, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let positive = price.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 || !positive {
        let what = format!("is `{price}`, which is no price");
        let help = "Write a price per hour with up to three decimals, for example `0.12`";
        reader.error("spot_price_limit", &what, help);
    }
    Some(price)
}

fn duration(reader: &mut Reader<'_, '_>) -> Option<u32> {
    if !reader.is_set("spot_duration") {
        return None;
    }
    let hours = reader.count("spot_duration");
    if hours > 1 {
        let what = format!("is {hours}");
        reader.error("spot_duration", &what, "Write 0 or 1");
    }
    Some(hours)
}
