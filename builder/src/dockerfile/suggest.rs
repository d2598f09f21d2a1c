//! "Did you mean …?": the nearest of a few known words.

/// Words longer than this are no typo of anything.
const MAX_LENGTH: usize = 64;

/// The candidate nearest to `word`, not counting case: at most one edit away for words of up to three
/// letters, else two. An exchange of two neighbours is one edit.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.len() > MAX_LENGTH {
        return None;
    }
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let limit = if word.len() <= 3 { 1 } else { 2 };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().collect();
            (distance(&word, &letters), candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["RUN", "COPY", "WORKDIR", "ENTRYPOINT"];
        assert_eq!(nearest("RNU", known), Some("RUN"));
        assert_eq!(nearest("workdri", known), Some("WORKDIR"));
        assert_eq!(nearest("ENTRIPOIN", known), Some("ENTRYPOINT"));
        assert_eq!(nearest("CAT", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"R".repeat(100_000), known), None);
    }
}
