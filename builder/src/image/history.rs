//! The history of an image: the base's, then ours. A base may have a history that does not fit its
//! layers, or none; then it is mended as BuildKit does, so that each layer has one entry.

use crate::oci::config::History;

/// The mark on an entry that was added for a layer.
const COMMENT: &str = "buildkit.exporter.image.v0";

/// Mends a history so that it fits the layers, lowest first, of which `layers` has what each is called.
/// A layer without a time gets `created`. Other entries without one get the time of the next entry that
/// has one, or, after that, of the one before.
pub(super) fn mended(mut history: Vec<History>, layers: &[String], created: &str) -> Vec<History> {
    let mut known = 0;
    for entry in &mut history {
        entry.empty_layer |= known == layers.len();
        known += usize::from(!entry.empty_layer);
    }
    history.extend(layers[known..].iter().map(|layer| History {
        created_by: Some(layer.clone()),
        comment: Some(COMMENT.into()),
        ..History::default()
    }));
    for entry in history.iter_mut().filter(|entry| !entry.empty_layer) {
        entry.created.get_or_insert_with(|| created.to_owned());
    }
    let timeless = history.iter().position(|entry| entry.created.is_none());
    let timeless = timeless.unwrap_or(history.len());
    let (before, behind) = history.split_at_mut(timeless);
    let mut times = behind.iter().filter_map(|entry| entry.created.clone());
    let last = times.next().or_else(|| before.last()?.created.clone());
    let mut last = last.unwrap_or_else(|| created.to_owned());
    for entry in behind {
        last.clone_from(entry.created.get_or_insert(last.clone()));
    }
    history
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, empty_layer: bool) -> History {
        History { created_by: Some(text.into()), empty_layer, ..History::default() }
    }

    fn shown(history: &[History], layers: &[&str]) -> Vec<String> {
        let layers: Vec<String> = layers.iter().map(|layer| (*layer).to_owned()).collect();
        let mended = mended(history.to_vec(), &layers, "T");
        let show = |entry: &History| {
            let layer = if entry.empty_layer { "-" } else { "+" };
            format!("{layer}{}", entry.created_by.clone().unwrap_or_default())
        };
        mended.iter().map(show).collect()
    }

    #[test]
    fn each_layer_has_one_entry() {
        let history = [entry("ADD", false), entry("CMD", true), entry("RUN", false)];
        assert_eq!(shown(&history, &["a", "b"]), ["+ADD", "-CMD", "+RUN"]);
        assert_eq!(shown(&history, &["a", "b", "c"]), ["+ADD", "-CMD", "+RUN", "+c"]);
        assert_eq!(shown(&history, &["a"]), ["+ADD", "-CMD", "-RUN"]);
        assert_eq!(shown(&[], &["a"]), ["+a"]);
    }

    #[test]
    fn only_what_has_no_time_gets_one() {
        let dated = |time: &str| History { created: Some(time.into()), ..entry("x", true) };
        let times = |history: &[History], layers: &[String]| -> String {
            let mended = mended(history.to_vec(), layers, "T");
            mended.into_iter().filter_map(|entry| entry.created).collect()
        };
        assert_eq!(times(&[dated("A"), entry("y", true)], &[]), "AA");
        assert_eq!(times(&[entry("y", true), dated("A"), entry("y", true)], &[]), "AAA");
        assert_eq!(
            times(&[dated("A"), entry("y", true), dated("B"), entry("y", true)], &[]),
            "ABBB"
        );
        assert_eq!(times(&[entry("y", false), entry("y", true)], &["l".into()]), "TT");
        assert_eq!(times(&[entry("y", true)], &[]), "T");
    }
}
