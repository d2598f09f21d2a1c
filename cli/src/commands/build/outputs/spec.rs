//! The text of one `--output`: `KEY=VALUE` fields as comma-separated values, a field in quotes where it
//! holds a comma or a quote (RFC 4180, as docker reads it).

use crate::error::CliError;

/// Splits one record into its fields.
pub(in crate::commands::build) fn fields(text: &str) -> Result<Vec<String>, CliError> {
    let mut fields = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        let mut field = String::new();
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next() {
                    Some('"') if rest.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(letter) => field.push(letter),
                    None => return Err(unreadable(text, "a quote is not closed")),
                }
            }
            if rest.peek().is_some_and(|next| *next != ',') {
                return Err(unreadable(text, "a closing quote is followed by more than a comma"));
            }
        } else {
            while let Some(letter) = rest.next_if(|letter| *letter != ',') {
                if letter == '"' {
                    return Err(unreadable(text, "a quote stands inside a field"));
                }
                field.push(letter);
            }
        }
        fields.push(field);
        if rest.next().is_none() {
            return Ok(fields);
        }
    }
}

fn unreadable(text: &str, reason: &str) -> CliError {
    CliError::usage(format!("--output '{text}' cannot be read: {reason}")).hint(
        "quote a whole field that holds a comma, and double the quotes in it: 'type=local,\"dest=a,b\"'",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_and_quotes() {
        let read = |text: &str| fields(text).unwrap();
        assert_eq!(read("type=oci,dest=a"), ["type=oci", "dest=a"]);
        assert_eq!(read(r#"type=image,"name=a,b""#), ["type=image", "name=a,b"]);
        assert_eq!(read(r#""a""b",c"#), [r#"a"b"#, "c"]);
        assert_eq!(read("a,,b,"), ["a", "", "b", ""]);
        assert_eq!(read(""), [""]);
        let hint = "help: quote a whole field that holds a comma, and double the quotes in it: \
                    'type=local,\"dest=a,b\"'";
        for (text, reason) in [
            (r#"type=oci,"dest=a"#, "a quote is not closed"),
            (r#""type=oci"x,dest=a"#, "a closing quote is followed by more than a comma"),
            (r#"type=oci,dest="a""#, "a quote stands inside a field"),
        ] {
            assert_eq!(
                fields(text).unwrap_err().to_string(),
                format!("--output '{text}' cannot be read: {reason}\n{hint}")
            );
        }
    }
}
