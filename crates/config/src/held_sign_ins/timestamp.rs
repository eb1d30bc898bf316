//! Parses the timestamps of RFC 3339 in stores.

/// Parses a timestamp into ms since the Unix epoch. Returns `None` for other text.
pub(super) fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |at: usize, length: usize| -> Option<i64> {
        let digits = bytes.get(at..at + length)?;
        digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let is = |at: usize, expected: &[u8]| bytes.get(at).is_some_and(|byte| expected.contains(byte));
    let separators = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !separators || !in_range {
        return None;
    }
    let mut at = 19;
    let mut ms = 0;
    if is(at, b".") {
        let digits = bytes.get(at + 1..)?.iter();
        let length = digits.take_while(|byte| byte.is_ascii_digit()).count();
        for place in 0..3 {
            ms = ms * 10
                + if place < length {
                    number(at + 1 + place, 1)?
                } else {
                    0
                };
        }
        at += 1 + length;
    }
    let offset = match bytes.get(at..)? {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let minutes = number(at + 1, 2)? * 60 + number(at + 4, 2)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let minutes = days_since_epoch(year, month, day) * 1440 + hour * 60 + minute - offset;
    Some((minutes * 60 + second) * 1000 + ms)
}

/// The number of days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March, so that a leap day is its last day.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // The day of the year that begins in March, for months of 31, 30, 31, 30 and 31 days.
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// The expected values are those of `date -d TIMESTAMP +%s`.
    #[test]
    fn timestamps_are_parsed() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-28T12:00:00Z", Some(1_795_867_200_000)),
            ("2026-11-28T12:00:00.123456789Z", Some(1_795_867_200_123)),
            ("2026-11-28T13:30:00.5+01:30", Some(1_795_867_200_500)),
            ("2024-02-29T23:59:59-00:01", Some(1_709_251_259_000)),
            ("2000-03-01t00:00:00z", Some(951_868_800_000)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800_000)),
            ("2026-11-28", None),
            ("2026-13-28T12:00:00Z", None),
            ("2026-11-28T12:00:00", None),
            ("2026-11-28T12:00:00.Z ", None),
            ("2026-11-28T12:00:00+1:30", None),
            ("tomorrow, at some time", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
