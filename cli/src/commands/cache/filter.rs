//! `--filter` of `cache du` and `cache prune`.

use std::str::FromStr;

use touchmark_builder::space::{
    choose::Filter,
    item::{KINDS, Kind},
};

use crate::amount;

/// One `NAME=VALUE`, or several with commas between.
#[derive(Debug, Clone)]
pub(super) struct Filters(pub(super) Vec<Filter>);

impl FromStr for Filters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(filter).collect::<Result<_, _>>().map(Self)
    }
}

fn filter(text: &str) -> Result<Filter, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name.trim_end_matches('~'), value),
        // As docker has it: `--filter inuse`.
        None => (text, "true"),
    };
    let truth =
        || value.parse::<bool>().map_err(|_| format!("{name} is true or false, not '{value}'"));
    match name {
        "until" | "unused-for" => amount::seconds(value)
            .map(Filter::UnusedFor)
            .ok_or_else(|| format!("'{value}' is no span of time such as 24h or 7d")),
        "type" => match Kind::named(value) {
            kinds if kinds.is_empty() => {
                let known = KINDS.map(Kind::as_str).join(", ");
                Err(format!("there is no type '{value}'; known: {known}"))
            }
            kinds => Ok(Filter::Kinds(kinds)),
        },
        "id" => Ok(Filter::Id(value.to_owned())),
        "description" => Ok(Filter::About(value.to_owned())),
        "inuse" => truth().map(Filter::InUse),
        "shared" => truth().map(Filter::Shared),
        "private" => truth().map(|private| Filter::Shared(!private)),
        _ => Err(format!(
            "there is no filter '{name}'; known: until, unused-for, type, id, description, inuse, shared, private"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Filter {
        text.parse::<Filters>().unwrap().0.remove(0)
    }

    #[test]
    fn filters_of_docker_are_understood() {
        assert_eq!(one("until=24h"), Filter::UnusedFor(86_400));
        assert_eq!(one("type=exec.cachemount"), Filter::Kinds(vec![Kind::Mount]));
        assert_eq!(one("inuse"), Filter::InUse(true));
        assert_eq!(one("private"), Filter::Shared(false));
        assert_eq!(one("description~=apt"), Filter::About("apt".into()));
        let both = "type=blob,unused-for=1h".parse::<Filters>().unwrap().0;
        assert_eq!(both, [Filter::Kinds(vec![Kind::Blob]), Filter::UnusedFor(3600)]);
    }

    #[test]
    fn others_are_named() {
        for (text, part) in [
            ("type=layer", "known: step, base"),
            ("until=soon", "no span of time"),
            ("colour=red", "no filter 'colour'"),
            ("shared=maybe", "true or false"),
        ] {
            assert!(text.parse::<Filters>().unwrap_err().contains(part), "{text}");
        }
    }
}
