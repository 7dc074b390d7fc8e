//! Functions of times, which are strings as RFC 3339 has them.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::super::value::Value;
use super::signature::{Arguments, Function, Parameter};
use super::{FunctionError, Outcome, excerpt};
use crate::template::go_duration::GoDuration;
use crate::template::go_time::{self, month, weekday};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "formatdate",
        &[Parameter::text("format"), Parameter::text("time")],
        formatdate,
    ),
    Function::new("legacy_isotime", &[], legacy_isotime)
        .and_any_number_of(Parameter::text("format")),
    Function::new("legacy_strftime", &[], legacy_strftime)
        .and_any_number_of(Parameter::text("format")),
    Function::new(
        "rfc3339_parse",
        &[Parameter::text("timestamp")],
        rfc3339_parse,
    ),
    Function::new(
        "timeadd",
        &[Parameter::text("timestamp"), Parameter::text("duration")],
        timeadd,
    ),
    Function::new("timestamp", &[], timestamp),
    Function::new(
        "unix_timestamp_parse",
        &[Parameter::number("unix_timestamp")],
        unix_timestamp_parse,
    ),
];

/// A time as a clock at some offset from UTC shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    local: DateTime,
    offset_seconds: i32,
}

impl Moment {
    /// Reads RFC 3339: `2006-01-02T15:04:05Z`, with or without a fraction.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (date, rest) = (text.get(..10)?, text.get(10..)?);
        let (clock, rest) = (rest.strip_prefix('T')?.get(..8)?, rest.get(9..)?);
        let [year, month, day] = fields(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
        let zone = match rest.strip_prefix('.') {
            Some(fraction) => {
                let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
                (zone.len() < fraction.len()).then_some(zone)?
            }
            None => rest,
        };
        let part = |number: i16| i8::try_from(number).ok();
        let local = DateTime::new(
            year,
            part(month)?,
            part(day)?,
            part(hour)?,
            part(minute)?,
            part(second)?,
            0,
        );
        Some(Self {
            local: local.ok()?,
            offset_seconds: offset(zone)?,
        })
    }

    fn utc(time: Timestamp) -> Self {
        Self {
            local: Offset::UTC.to_datetime(time),
            offset_seconds: 0,
        }
    }

    /// Seconds since 1970 in UTC.
    fn unix(&self) -> Option<i64> {
        let utc = Offset::UTC.to_timestamp(self.local).ok()?;
        Some(utc.as_second() - i64::from(self.offset_seconds))
    }

    fn rfc3339(&self) -> String {
        let time = self.local;
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            self.zone("Z", ":"),
        )
    }

    fn zone(&self, utc: &str, separator: &str) -> String {
        if self.offset_seconds == 0 && !utc.is_empty() {
            return utc.to_owned();
        }
        let sign = if self.offset_seconds < 0 { '-' } else { '+' };
        let minutes = self.offset_seconds.abs() / 60;
        format!("{sign}{:02}{separator}{:02}", minutes / 60, minutes % 60)
    }

    /// What `rfc3339_parse` and `unix_timestamp_parse` both give.
    fn parts(&self) -> BTreeMap<String, Value> {
        let (time, week) = (self.local, self.local.date().iso_week_date());
        let numbers = [
            ("year", i64::from(time.year())),
            ("year_day", i64::from(time.date().day_of_year())),
            ("day", i64::from(time.day())),
            ("month", i64::from(time.month())),
            ("weekday", i64::from(time.weekday().to_sunday_zero_offset())),
            ("hour", i64::from(time.hour())),
            ("minute", i64::from(time.minute())),
            ("second", i64::from(time.second())),
            ("iso_year", i64::from(week.year())),
            ("iso_week", i64::from(week.week())),
        ];
        let names = [("month_name", month(time)), ("weekday_name", weekday(time))];
        let numbers = numbers.map(|(key, number)| (key.to_owned(), number.into()));
        let names = names.map(|(key, name)| (key.to_owned(), name.into()));
        numbers.into_iter().chain(names).collect()
    }
}

/// Three numbers of so many digits.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[i16; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        let is_plain = part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_plain)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// The seconds that `Z` or `+02:00` stand for.
fn offset(zone: &str) -> Option<i32> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let number = |text: &str, limit: i32| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>()
            .ok()
            .filter(|number| is_plain && *number < limit)
    };
    Some(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
}

fn moment(arguments: &Arguments<'_>, index: usize) -> Result<Moment, FunctionError> {
    let text = arguments.text(index);
    Moment::parse(text).ok_or_else(|| {
        FunctionError::at(
            index,
            format!("`{}` is no time as RFC 3339 has it", excerpt(text)),
        )
        .with_hint("Such a time is `2006-01-02T15:04:05Z`; `timestamp()` gives one")
    })
}

fn timestamp(arguments: &Arguments<'_>) -> Outcome {
    Ok(Moment::utc(arguments.world.start()).rfc3339().into())
}

fn timeadd(arguments: &Arguments<'_>) -> Outcome {
    let (time, text) = (moment(arguments, 0)?, arguments.text(1));
    let duration: GoDuration = text.parse().map_err(|_| {
        FunctionError::at(1, format!("`{}` is no duration", excerpt(text)))
            .with_hint("A duration is `90m`, `1h30m` or `-24h`")
    })?;
    let local = time
        .local
        .checked_add(SignedDuration::from_nanos(duration.0));
    let local = local.map_err(|_| FunctionError::at(1, "The time would be out of range"))?;
    Ok(Moment { local, ..time }.rfc3339().into())
}

fn legacy_isotime(arguments: &Arguments<'_>) -> Outcome {
    let layout = layout(arguments)?.unwrap_or(go_time::RFC3339);
    Ok(go_time::format_layout(arguments.world.start(), layout).into())
}

fn legacy_strftime(arguments: &Arguments<'_>) -> Outcome {
    let start = arguments.world.start();
    Ok(match layout(arguments)? {
        Some(format) => go_time::strftime(start, format).into(),
        None => go_time::format_layout(start, go_time::RFC3339).into(),
    })
}

fn layout<'a>(arguments: &'a Arguments<'_>) -> Result<Option<&'a str>, FunctionError> {
    match arguments.count() {
        0 => Ok(None),
        1 => Ok(Some(arguments.text(0))),
        count => Err(FunctionError::new(format!(
            "At most one argument is taken, and got {count}"
        ))),
    }
}

fn rfc3339_parse(arguments: &Arguments<'_>) -> Outcome {
    // This function takes a space for the `T` as well.
    let text = arguments.text(0).replacen(' ', "T", 1);
    let time = match Moment::parse(&text) {
        Some(time) => time,
        None => moment(arguments, 0)?,
    };
    let mut parts = time.parts();
    let unix = time
        .unix()
        .ok_or_else(|| FunctionError::at(0, "The time is out of range"))?;
    parts.insert("unix".to_owned(), unix.into());
    Ok(Value::Object(parts))
}

fn unix_timestamp_parse(arguments: &Arguments<'_>) -> Outcome {
    let time = Timestamp::from_second(arguments.integer(0)?);
    let time = time.map_err(|_| FunctionError::at(0, "The time is out of range"))?;
    let time = Moment::utc(time);
    let mut parts = time.parts();
    parts.insert("rfc3339".to_owned(), time.rfc3339().into());
    Ok(Value::Object(parts))
}

/// Formats with the verbs of cty's `formatdate`: runs of one letter, text in
/// single quotes, and anything else as it is.
fn formatdate(arguments: &Arguments<'_>) -> Outcome {
    let time = moment(arguments, 1)?;
    let mut out = String::new();
    let mut rest = arguments.text(0);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => literal(rest, &mut out)?,
            c if c.is_ascii_alphabetic() => {
                let length = rest.len() - rest.trim_start_matches(c).len();
                out.push_str(&verb(&rest[..length], &time)?);
                length
            }
            c => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(out.into())
}

/// Copies the text in quotes that a format begins with. Gives its length.
fn literal(format: &str, out: &mut String) -> Result<usize, FunctionError> {
    // Two quotes stand for one, in quotes and outside of them.
    if format.starts_with("''") {
        out.push('\'');
        return Ok(2);
    }
    let mut at = 1;
    loop {
        let Some(end) = format[at..].find('\'') else {
            return Err(FunctionError::at(0, "A quote in the format is not closed"));
        };
        out.push_str(&format[at..at + end]);
        at += end + 1;
        if !format[at..].starts_with('\'') {
            return Ok(at);
        }
        out.push('\'');
        at += 1;
    }
}

fn verb(verb: &str, moment: &Moment) -> Result<String, FunctionError> {
    let time = moment.local;
    let hour12 = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let half = if time.hour() < 12 { "AM" } else { "PM" };
    Ok(match verb {
        "YYYY" => format!("{:04}", time.year()),
        "YY" => format!("{:02}", time.year() % 100),
        "MMMM" => month(time).to_owned(),
        "MMM" => month(time)[..3].to_owned(),
        "MM" => format!("{:02}", time.month()),
        "M" => time.month().to_string(),
        "DD" => format!("{:02}", time.day()),
        "D" => time.day().to_string(),
        "EEEE" => weekday(time).to_owned(),
        "EEE" => weekday(time)[..3].to_owned(),
        "hh" => format!("{:02}", time.hour()),
        "h" => time.hour().to_string(),
        "HH" => format!("{hour12:02}"),
        "H" => hour12.to_string(),
        "AA" => half.to_owned(),
        "aa" => half.to_ascii_lowercase(),
        "mm" => format!("{:02}", time.minute()),
        "m" => time.minute().to_string(),
        "ss" => format!("{:02}", time.second()),
        "s" => time.second().to_string(),
        "ZZZZZ" => moment.zone("", ":"),
        "ZZZZ" => moment.zone("", ""),
        "ZZZ" => moment.zone("UTC", ""),
        "Z" => moment.zone("Z", ":"),
        _ => return Err(unknown_verb(verb)),
    })
}

fn unknown_verb(verb: &str) -> FunctionError {
    let hint = match &verb[..1] {
        "Y" => "A year is `YYYY` or `YY`",
        "M" => "A month is `MMMM`, `MMM`, `MM` or `M`",
        "D" => "A day is `DD` or `D`",
        "E" => "A day of the week is `EEEE` or `EEE`",
        "h" | "H" => "An hour is `hh` or `h`, or of twelve `HH` or `H`",
        "A" | "a" => "The half of the day is `AA` or `aa`",
        "m" => "A minute is `mm` or `m`",
        "s" => "A second is `ss` or `s`",
        "Z" => "A time zone is `Z`, `ZZZ`, `ZZZZ` or `ZZZZZ`",
        _ => "Write text in single quotes, as in `'T'`",
    };
    FunctionError::at(0, format!("`{verb}` is no part of a date")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (
                r#"formatdate("DD MMM YYYY hh:mm ZZZ","2018-01-02T23:12:01Z")"#,
                r#""02 Jan 2018 23:12 UTC""#,
            ),
            (
                r#"formatdate("EEEE, DD-MMM-YY hh:mm:ss ZZZ","2018-01-02T23:12:01Z")"#,
                r#""Tuesday, 02-Jan-18 23:12:01 UTC""#,
            ),
            (
                r#"formatdate("EEE, DD MMM YYYY hh:mm:ss ZZZ","2018-01-02T23:12:01-08:00")"#,
                r#""Tue, 02 Jan 2018 23:12:01 -0800""#,
            ),
            (
                r#"formatdate("MMM DD, YYYY","2018-01-02T23:12:01Z")"#,
                r#""Jan 02, 2018""#,
            ),
            (
                r#"formatdate("HH:mmaa","2018-01-02T23:12:01Z")"#,
                r#""11:12pm""#,
            ),
            (
                r#"formatdate("H:mAA","2018-01-02T00:02:01Z")"#,
                r#""12:2AM""#,
            ),
            (
                r#"formatdate("YYYYMMDDhhmmss","2018-01-02T23:12:01Z")"#,
                r#""20180102231201""#,
            ),
            (
                r#"formatdate("D M YY h s Z ZZZZ ZZZZZ","2018-01-02T03:12:01+05:30")"#,
                r#""2 1 18 3 1 +05:30 +0530 +05:30""#,
            ),
            (
                r#"formatdate("MMMM 'o''clock' hh","2018-01-02T23:12:01Z")"#,
                r#""January o'clock 23""#,
            ),
            (
                r#"formatdate("'abc","2018-01-02T23:12:01Z")"#,
                "! A quote in the format is not closed",
            ),
            (
                r#"formatdate("YYY","2018-01-02T23:12:01Z")"#,
                "! `YYY` is no part of a date",
            ),
            (
                r#"formatdate("Q","2018-01-02T23:12:01Z")"#,
                "! `Q` is no part of a date",
            ),
            (
                r#"formatdate("YYYY","2018-01-02")"#,
                "! `2018-01-02` is no time as RFC 3339 has it",
            ),
            (
                r#"formatdate("YYYY","2018-01-02T23:12:61Z")"#,
                "! `2018-01-02T23:12:61Z` is no time as RFC 3339 has it",
            ),
            (
                r#"formatdate("YYYY-MM-DD'T'hh:mm:ssZ","2018-01-02T23:12:01Z")"#,
                r#""2018-01-02T23:12:01Z""#,
            ),
            (
                r#"formatdate("EE","2018-01-02T23:12:01Z")"#,
                "! `EE` is no part of a date",
            ),
            (
                r#"formatdate("- / : , é","2018-01-02T23:12:01Z")"#,
                r#""- / : , é""#,
            ),
            (
                r#"formatdate("YYYY","2018-02-30T23:12:01Z")"#,
                "! `2018-02-30T23:12:01Z` is no time as RFC 3339 has it",
            ),
            (
                r#"formatdate("hh:mm:ss.000", "2017-11-22T00:00:00.123Z")"#,
                r#""00:00:00.000""#,
            ),
            (
                r#"formatdate("EEEE D", "2017-11-22t00:00:00z")"#,
                "! `2017-11-22t00:00:00z` is no time as RFC 3339 has it",
            ),
            (
                r#"formatdate("A", "2017-11-22T00:00:00Z")"#,
                "! `A` is no part of a date",
            ),
            (
                r#"formatdate("hhh", "2017-11-22T00:00:00Z")"#,
                "! `hhh` is no part of a date",
            ),
            (
                r#"formatdate("ZZ", "2017-11-22T00:00:00Z")"#,
                "! `ZZ` is no part of a date",
            ),
            (
                r#"formatdate("ZZZ ZZZZ ZZZZZ Z", "2017-11-22T00:00:00+00:00")"#,
                r#""UTC +0000 +00:00 Z""#,
            ),
            (
                r#"formatdate("MMMMM", "2017-11-22T00:00:00Z")"#,
                "! `MMMMM` is no part of a date",
            ),
            (
                r#"formatdate("DDD", "2017-11-22T00:00:00Z")"#,
                "! `DDD` is no part of a date",
            ),
            (
                r#"formatdate("YYYY", "2017-1-22T00:00:00Z")"#,
                "! `2017-1-22T00:00:00Z` is no time as RFC 3339 has it",
            ),
            (
                r#"formatdate("YYYY", "2017-11-22T24:00:00Z")"#,
                "! `2017-11-22T24:00:00Z` is no time as RFC 3339 has it",
            ),
            (
                r#"formatdate("YYYY", "2017-11-22T00:00:00")"#,
                "! `2017-11-22T00:00:00` is no time as RFC 3339 has it",
            ),
            (
                r#"timeadd("2017-11-22T00:00:00Z","10m")"#,
                r#""2017-11-22T00:10:00Z""#,
            ),
            (
                r#"timeadd("2017-11-22T00:00:00Z","-1h30m")"#,
                r#""2017-11-21T22:30:00Z""#,
            ),
            (
                r#"timeadd("2017-11-22T00:00:00+02:00","1.5h")"#,
                r#""2017-11-22T01:30:00+02:00""#,
            ),
            (
                r#"timeadd("2017-11-22T00:00:00.5Z","1ms")"#,
                r#""2017-11-22T00:00:00Z""#,
            ),
            (
                r#"timeadd("x","1m")"#,
                "! `x` is no time as RFC 3339 has it",
            ),
            (
                r#"timeadd("2017-11-22T00:00:00Z","1 day")"#,
                "! `1 day` is no duration",
            ),
            (
                r#"timeadd("2017-11-22T00:00:00+00:00","1h")"#,
                r#""2017-11-22T01:00:00Z""#,
            ),
            (
                r#"timeadd("2017-11-22T00:00:00.123456Z","1h")"#,
                r#""2017-11-22T01:00:00Z""#,
            ),
            (
                r#"formatdate("hh''mm","2017-11-22T09:05:00Z")"#,
                r#""09'05""#,
            ),
            ("timestamp()", r#""2024-01-02T03:04:05Z""#),
            ("legacy_isotime()", r#""2024-01-02T03:04:05Z""#),
            (
                r#"legacy_isotime("02 Jan 06 15:04")"#,
                r#""02 Jan 24 03:04""#,
            ),
            (r#"legacy_strftime("%Y%m%d")"#, r#""20240102""#),
            (
                r#"rfc3339_parse("2023-07-25 23:43:16.5Z")"#,
                r#"{"day":25,"hour":23,"iso_week":30,"iso_year":2023,"minute":43,"month":7,"month_name":"July","second":16,"unix":1690328596,"weekday":2,"weekday_name":"Tuesday","year":2023,"year_day":206}"#,
            ),
            (
                "unix_timestamp_parse(1690328596)",
                r#"{"day":25,"hour":23,"iso_week":30,"iso_year":2023,"minute":43,"month":7,"month_name":"July","rfc3339":"2023-07-25T23:43:16Z","second":16,"weekday":2,"weekday_name":"Tuesday","year":2023,"year_day":206}"#,
            ),
            (
                "unix_timestamp_parse(1.5)",
                "! `1.5` is not a whole number of 64 bits",
            ),
            ("unix_timestamp_parse(1e17)", "! The time is out of range"),
        ]);
    }
}
