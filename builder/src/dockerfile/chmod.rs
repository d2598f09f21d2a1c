//! The value of `--chmod`: octal up to 7777, or symbolic as in chmod(1).

/// What to write.
pub const HELP: &str =
    "use an octal number up to 7777, such as 0755, or a symbolic mode, such as u=rwX,go=rX";

/// Checks a mode. An empty one changes nothing.
///
/// # Errors
/// What is wrong with it.
pub fn check(mode: &str) -> Result<(), String> {
    let shown: String = mode.chars().take(60).collect();
    let fault = Err(format!("invalid --chmod value '{shown}'"));
    if !mode.is_empty() && mode.bytes().all(|b| b.is_ascii_digit()) {
        return match u32::from_str_radix(mode, 8) {
            Ok(bits) if bits <= 0o7777 => Ok(()),
            _ => fault,
        };
    }
    if mode.is_empty() || mode.split(',').all(is_clause) { Ok(()) } else { fault }
}

/// `[ugoa]*([-+=]([rwxXst]*|[ugo]))+`
fn is_clause(clause: &str) -> bool {
    let actions = clause.trim_start_matches(['u', 'g', 'o', 'a']);
    let mut parts = actions.split(['+', '-', '=']);
    // Nothing may stand between the classes and the first operator.
    parts.next() == Some("")
        && actions.starts_with(['+', '-', '='])
        && parts.all(|permissions| {
            matches!(permissions, "u" | "g" | "o")
                || permissions.bytes().all(|b| b"rwxXst".contains(&b))
        })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn modes() {
        for mode in ["0", "755", "0755", "07777", "u=rwX,go=rX", "+x", "a-w", "g=u", "u+s,o-rwx"] {
            assert!(check(mode).is_ok(), "{mode}");
        }
        for mode in ["64a", "888", "10000", "0o755", "-1", "u", "rwx", "u=q", "a,b", "u=rwx,"] {
            assert!(check(mode).is_err(), "{mode}");
        }
    }
}
