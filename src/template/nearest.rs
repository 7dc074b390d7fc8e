//! "Did you mean …?": the known word nearest to an unknown one.
//!
//! Not here: what is said about it. The measure is Damerau-Levenshtein with
//! `-` and `_` taken as the same and case ignored.

/// The known word nearest to `word`, when it is near enough to be a slip.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = canonical(word);
    let limit = (word.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &canonical(candidate)),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The sentence for a diagnostic's help, when there is a near word.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|candidate| format!("Did you mean `{candidate}`?"))
}

fn canonical(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let known = ["source_image", "image_name", "region", "ssh_username"];
        let table = [
            ("source-image", Some("source_image")),
            ("Regoin", Some("region")),
            ("ssh_user_name", Some("ssh_username")),
            ("image_nmae", Some("image_name")),
            ("frobnicate", None),
            ("x", None),
        ];
        for (word, expected) in table {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
