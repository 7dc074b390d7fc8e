//! Durations as Packer says them: the two largest units in words.

use std::time::Duration;

const UNITS: &[(&str, u128)] = &[
    ("year", 365 * 24 * 3600 * 1_000_000),
    ("week", 7 * 24 * 3600 * 1_000_000),
    ("day", 24 * 3600 * 1_000_000),
    ("hour", 3600 * 1_000_000),
    ("minute", 60 * 1_000_000),
    ("second", 1_000_000),
    ("millisecond", 1000),
    ("microsecond", 1),
];

/// For example `1 minute 2 seconds`.
pub(super) fn in_words(duration: Duration) -> String {
    let mut rest = duration.as_micros();
    let mut words = Vec::new();
    for (unit, size) in UNITS {
        let count = rest / size;
        rest %= size;
        if count > 0 && words.len() < 2 {
            let plural = if count == 1 { "" } else { "s" };
            words.push(format!("{count} {unit}{plural}"));
        }
    }
    if words.is_empty() {
        return "0 microseconds".to_owned();
    }
    words.join(" ")
}

/// For tables, for example `14 m 32 s`.
pub(super) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0..10) => format!("{:.1} s", duration.as_secs_f64()),
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} m {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_packers() {
        let table = [
            (39_191, "39 milliseconds 191 microseconds"),
            (62_000_000, "1 minute 2 seconds"),
            (3_600_000_001, "1 hour 1 microsecond"),
            (90_061_000_000, "1 day 1 hour"),
            (0, "0 microseconds"),
        ];
        for (micros, words) in table {
            assert_eq!(in_words(Duration::from_micros(micros)), words);
        }
    }

    #[test]
    fn short_forms() {
        let table = [
            (450, "0.5 s"),
            (12_900, "12 s"),
            (872_000, "14 m 32 s"),
            (3_725_000, "1 h 2 m"),
        ];
        for (millis, expected) in table {
            assert_eq!(short(Duration::from_millis(millis)), expected);
        }
    }
}
