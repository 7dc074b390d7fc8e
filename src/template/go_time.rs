//! Times as text: Go's reference layouts and a `strftime`.
//!
//! All times are UTC, as in Packer, whose `isotime` and `strftime` format the
//! start of the process. Layouts follow Go's `time.Format`: the reference time
//! is `Mon Jan 2 15:04:05 MST 2006`. Not here: parsing times.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::Offset;

/// Go's `time.RFC3339`.
pub const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Chunks that stand for themselves, longest first where one begins another.
const CHUNKS: &[(&str, Chunk)] = &[
    ("January", Chunk::LongMonth),
    ("Jan", Chunk::Month),
    ("Monday", Chunk::LongWeekday),
    ("Mon", Chunk::Weekday),
    ("MST", Chunk::Zone),
    ("2006", Chunk::LongYear),
    ("002", Chunk::YearDay),
    ("__2", Chunk::UnderYearDay),
    ("_2", Chunk::UnderDay),
    ("01", Chunk::ZeroMonth),
    ("02", Chunk::ZeroDay),
    ("03", Chunk::ZeroHour12),
    ("04", Chunk::ZeroMinute),
    ("05", Chunk::ZeroSecond),
    ("06", Chunk::Year),
    ("15", Chunk::Hour),
    ("1", Chunk::NumMonth),
    ("2", Chunk::Day),
    ("3", Chunk::Hour12),
    ("4", Chunk::Minute),
    ("5", Chunk::Second),
    ("PM", Chunk::UpperPm),
    ("pm", Chunk::LowerPm),
    ("-07:00:00", Chunk::Offset("+00:00:00")),
    ("-070000", Chunk::Offset("+000000")),
    ("-07:00", Chunk::Offset("+00:00")),
    ("-0700", Chunk::Offset("+0000")),
    ("-07", Chunk::Offset("+00")),
    ("Z07:00:00", Chunk::Offset("Z")),
    ("Z070000", Chunk::Offset("Z")),
    ("Z07:00", Chunk::Offset("Z")),
    ("Z0700", Chunk::Offset("Z")),
    ("Z07", Chunk::Offset("Z")),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chunk {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    YearDay,
    UnderYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    Zone,
    /// The text is always that of UTC.
    Offset(&'static str),
}

/// Formats with a Go reference layout.
pub fn format_layout(time: Timestamp, layout: &str) -> String {
    let civil = Offset::UTC.to_datetime(time);
    let mut out = String::with_capacity(layout.len());
    let mut rest = layout;
    while let Some(next) = rest.chars().next() {
        if let Some((chunk, len)) = leading_chunk(rest) {
            push_chunk(&mut out, civil, chunk);
            rest = &rest[len..];
        } else if let Some(len) = leading_fraction(rest) {
            push_fraction(&mut out, civil, &rest[..len]);
            rest = &rest[len..];
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

fn leading_chunk(rest: &str) -> Option<(Chunk, usize)> {
    // Go takes the year of `_2006` before the day of `_2`.
    if rest.starts_with("_2006") {
        return None;
    }
    let (text, chunk) = CHUNKS.iter().find(|(text, _)| rest.starts_with(text))?;
    // `Month` and the like are words, not a month with text behind it.
    let word_goes_on = rest[text.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    if matches!(chunk, Chunk::Month | Chunk::Weekday) && word_goes_on {
        return None;
    }
    Some((*chunk, text.len()))
}

/// The length of `.000` or `,999` when it is a fraction: no digit follows.
fn leading_fraction(rest: &str) -> Option<usize> {
    let digit = rest
        .as_bytes()
        .get(1)
        .filter(|b| **b == b'0' || **b == b'9')?;
    if !rest.starts_with(['.', ',']) {
        return None;
    }
    let len = 1 + rest[1..].bytes().take_while(|b| b == digit).count();
    let followed = rest.as_bytes().get(len).is_some_and(u8::is_ascii_digit);
    (!followed).then_some(len)
}

fn push_fraction(out: &mut String, time: DateTime, layout: &str) {
    let places = layout.len() - 1;
    let nanos = format!("{:09}", time.subsec_nanosecond());
    let digits: String = nanos
        .chars()
        .chain(std::iter::repeat('0'))
        .take(places)
        .collect();
    let kept = if layout.as_bytes()[1] == b'9' {
        digits.trim_end_matches('0')
    } else {
        digits.as_str()
    };
    if !kept.is_empty() {
        out.push_str(&layout[..1]);
        out.push_str(kept);
    }
}

fn push_chunk(out: &mut String, time: DateTime, chunk: Chunk) {
    let hour12 = (time.hour() + 11) % 12 + 1;
    let written = match chunk {
        Chunk::LongMonth => write!(out, "{}", month(time)),
        Chunk::Month => write!(out, "{}", &month(time)[..3]),
        Chunk::NumMonth => write!(out, "{}", time.month()),
        Chunk::ZeroMonth => write!(out, "{:02}", time.month()),
        Chunk::LongWeekday => write!(out, "{}", weekday(time)),
        Chunk::Weekday => write!(out, "{}", &weekday(time)[..3]),
        Chunk::Day => write!(out, "{}", time.day()),
        Chunk::UnderDay => write!(out, "{:2}", time.day()),
        Chunk::ZeroDay => write!(out, "{:02}", time.day()),
        Chunk::YearDay => write!(out, "{:03}", time.day_of_year()),
        Chunk::UnderYearDay => write!(out, "{:3}", time.day_of_year()),
        Chunk::Hour => write!(out, "{:02}", time.hour()),
        Chunk::Hour12 => write!(out, "{hour12}"),
        Chunk::ZeroHour12 => write!(out, "{hour12:02}"),
        Chunk::Minute => write!(out, "{}", time.minute()),
        Chunk::ZeroMinute => write!(out, "{:02}", time.minute()),
        Chunk::Second => write!(out, "{}", time.second()),
        Chunk::ZeroSecond => write!(out, "{:02}", time.second()),
        Chunk::LongYear => write!(out, "{:04}", time.year()),
        Chunk::Year => write!(out, "{:02}", time.year().rem_euclid(100)),
        Chunk::UpperPm => write!(out, "{}", if time.hour() < 12 { "AM" } else { "PM" }),
        Chunk::LowerPm => write!(out, "{}", if time.hour() < 12 { "am" } else { "pm" }),
        Chunk::Zone => write!(out, "UTC"),
        Chunk::Offset(text) => write!(out, "{text}"),
    };
    written.expect("writing to a String does not fail");
}

/// The month's English name.
pub(super) fn month(time: DateTime) -> &'static str {
    // Months count from 1 to 12.
    MONTHS[time.month().unsigned_abs() as usize - 1]
}

/// The English name of the day of the week.
pub(super) fn weekday(time: DateTime) -> &'static str {
    match time.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// Formats with `strftime` directives. An unknown directive stays as written.
pub fn strftime(time: Timestamp, format: &str) -> String {
    let mut out = String::with_capacity(format.len());
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => out.push('%'),
            Some('%') => out.push('%'),
            Some('s') => out.push_str(&time.as_second().to_string()),
            Some(directive) => match layout_of(directive) {
                Some(layout) => out.push_str(&format_layout(time, layout)),
                None => out.extend(['%', directive]),
            },
        }
    }
    out
}

fn layout_of(directive: char) -> Option<&'static str> {
    Some(match directive {
        'A' => "Monday",
        'a' => "Mon",
        'B' => "January",
        'b' | 'h' => "Jan",
        'c' => "Mon Jan _2 15:04:05 2006",
        'D' | 'x' => "01/02/06",
        'd' => "02",
        'e' => "_2",
        'F' => "2006-01-02",
        'H' => "15",
        'I' => "03",
        'j' => "002",
        'M' => "04",
        'm' => "01",
        'n' => "\n",
        'p' => "PM",
        'R' => "15:04",
        'S' => "05",
        'T' | 'X' => "15:04:05",
        't' => "\t",
        'Y' => "2006",
        'y' => "06",
        'Z' => "MST",
        'z' => "-0700",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Timestamp {
        "2009-02-04T21:00:57.0123456Z".parse().unwrap()
    }

    #[test]
    fn formats_as_go_does() {
        let table = [
            (RFC3339, "2009-02-04T21:00:57Z"),
            ("Mon Jan _2 15:04:05 2006", "Wed Feb  4 21:00:57 2009"),
            (
                "Mon Jan 02 15:04:05 -0700 2006",
                "Wed Feb 04 21:00:57 +0000 2009",
            ),
            ("02 Jan 06 1504 MST", "04 Feb 09 2100 UTC"),
            (
                "Monday, 02-Jan-06 15:04:05 MST",
                "Wednesday, 04-Feb-09 21:00:57 UTC",
            ),
            ("3:04PM", "9:00PM"),
            ("03:04pm", "09:00pm"),
            ("Jan _2 15:04:05.000000", "Feb  4 21:00:57.012345"),
            ("15:04:05.999999999", "21:00:57.0123456"),
            ("15:04:05,000", "21:00:57,012"),
            ("20060102150405", "20090204210057"),
            ("20060102-1504", "20090204-2100"),
            ("2006-01-02-030405", "2009-02-04-090057"),
            ("__2 002", " 35 035"),
            ("_2006", "_2009"),
            ("January Month", "February Month"),
            ("v1.2", "v2.4"),
            ("Z07:00 -07", "Z +00"),
            ("", ""),
            ("äöü", "äöü"),
        ];
        for (layout, text) in table {
            assert_eq!(format_layout(time(), layout), text, "{layout}");
        }
    }

    #[test]
    fn midnight_and_noon_are_twelve() {
        for (time, text) in [
            ("2024-01-01T00:00:00Z", "12AM"),
            ("2024-01-01T12:00:00Z", "12PM"),
        ] {
            assert_eq!(format_layout(time.parse().unwrap(), "3PM"), text);
        }
    }

    #[test]
    fn strftime_directives() {
        let table = [
            ("%Y%m%d", "20090204"),
            ("%Y-%m-%dT%H:%M:%S", "2009-02-04T21:00:57"),
            (
                "%a %A %b %B %e %j %y %I%p %Z %z",
                "Wed Wednesday Feb February  4 035 09 09PM UTC +0000",
            ),
            ("2006 %% %Q %", "2006 % %Q %"),
            ("%F %T %s", "2009-02-04 21:00:57 1233781257"),
        ];
        for (format, text) in table {
            assert_eq!(strftime(time(), format), text, "{format}");
        }
    }
}
