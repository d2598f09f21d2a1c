//! `WWW-Authenticate` (RFC 9110, 11.6.1, and the distribution project's token specification).

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from the realm.
    Bearer(Bearer),
}

/// Where tokens come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bearer {
    /// Address of the token server.
    pub realm: String,
    /// Who the token is for, in the token server's words.
    pub service: Option<String>,
    /// What the refused request needs: `repository:<name>:<actions>`, parted by spaces.
    pub scope: Option<String>,
}

impl Challenge {
    /// The challenge of a 401 answer; Bearer is preferred where both are offered.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let texts =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<Self> = texts.flat_map(Self::parse).collect();
        let bearer = challenges.iter().find(|one| matches!(one, Self::Bearer(_)));
        bearer.or(challenges.first()).cloned()
    }

    /// All challenges of one header value. Parameters belong to the scheme word before them.
    #[must_use]
    pub fn parse(text: &str) -> Vec<Self> {
        let mut challenges = Vec::new();
        let mut rest = text;
        while let Some((word, value, tail)) = item(rest) {
            match (value, challenges.last_mut()) {
                (None, _) if word.eq_ignore_ascii_case("basic") => challenges.push(Self::Basic),
                (None, _) if word.eq_ignore_ascii_case("bearer") => {
                    challenges.push(Self::Bearer(Bearer::default()));
                }
                (Some(value), Some(Self::Bearer(bearer))) => {
                    match word.to_ascii_lowercase().as_str() {
                        "realm" => bearer.realm = value,
                        "service" => bearer.service = Some(value),
                        "scope" => bearer.scope = Some(value),
                        _ => {}
                    }
                }
                _ => {}
            }
            rest = tail;
        }
        let usable = |one: &Self| !matches!(one, Self::Bearer(b) if b.realm.is_empty());
        challenges.retain(usable);
        challenges
    }
}

/// The next `word` or `word=value` or `word="value"`, and what follows it.
fn item(text: &str) -> Option<(&str, Option<String>, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let end = text.find([' ', '\t', ',', '=']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let Some(rest) = rest.strip_prefix('=') else {
        return (!word.is_empty()).then_some((word, None, rest));
    };
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([' ', '\t', ',']).unwrap_or(rest.len());
        return Some((word, Some(rest[..end].to_owned()), &rest[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((word, Some(value), &quoted[at + 1..])),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    Some((word, Some(value), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let text = |text: Option<&str>| text.map(ToOwned::to_owned);
        let (service, scope) = (text(service), text(scope));
        Challenge::Bearer(Bearer { realm: realm.into(), service, scope })
    }

    #[test]
    fn the_forms_registries_send() {
        let hub = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        assert_eq!(
            Challenge::parse(hub),
            [bearer(
                "https://auth.example/token",
                Some("registry.example"),
                Some("repository:a/b:pull,push")
            )]
        );
        assert_eq!(Challenge::parse("basic realm=\"Registry, Realm\""), [Challenge::Basic]);
        assert_eq!(
            Challenge::parse(
                r#"Basic realm="x", BEARER Realm=https://a.example/t , error="invalid_token""#
            ),
            [Challenge::Basic, bearer("https://a.example/t", None, None)]
        );
        assert_eq!(
            Challenge::parse(r#"Bearer realm="https://a.example/\"t\"""#),
            [bearer("https://a.example/\"t\"", None, None)]
        );
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for text in ["", ",,,", "Negotiate", "Bearer", "Bearer service=x", "=", "\"", "Digest a=b"]
        {
            assert_eq!(Challenge::parse(text), [], "{text}");
        }
        assert_eq!(Challenge::parse("Bearer realm=\"unclosed"), [bearer("unclosed", None, None)]);
    }

    #[test]
    fn bearer_goes_first() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        headers.append(WWW_AUTHENTICATE, "Bearer realm=y".parse().unwrap());
        assert_eq!(Challenge::of(&headers), Some(bearer("y", None, None)));
        assert_eq!(Challenge::of(&HeaderMap::new()), None);
    }
}
