//! The variables that clients take the place of their certificates from. They are set for the step alone: in no cache
//! key, no configuration of an image, no provenance.

use super::places::DIRECTORY;

/// Name a file with every trusted certificate.
pub(super) const WHOLE: [&str; 12] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "npm_config_cafile",
    "CARGO_HTTP_CAINFO",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "NIX_SSL_CERT_FILE",
    "BUNDLE_SSL_CA_CERT",
    "PERL_LWP_SSL_CA_FILE",
    "HEX_CACERTS_PATH",
];

/// Name a file with certificates that are trusted beside those which the client brings.
pub(super) const MORE: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// Options for every Java; what is there already stays.
const JAVA: &str = "JAVA_TOOL_OPTIONS";

/// Files in [`DIRECTORY`].
pub(super) const BUNDLE: &str = "ca.crt";
/// Ours, and what the image's own variables name.
pub(super) const AUTHORITY: &str = "authority.crt";
/// The same as the bundle, for Java.
pub(super) const JAVA_STORE: &str = "cacerts.jks";
/// Settings of apt, which is told by no variable of its own.
pub(super) const APT: &str = "apt.conf";
/// Settings of wget.
pub(super) const WGET: &str = "wgetrc";

fn at(file: &str) -> String {
    format!("/{DIRECTORY}/{file}")
}

/// What apt reads.
pub(super) fn apt() -> String {
    format!("Acquire::https::CAInfo \"{}\";\n", at(BUNDLE))
}

/// What wget reads.
pub(super) fn wget() -> String {
    format!("ca_certificate = {}\n", at(BUNDLE))
}

/// Adds the variables to `env`. With `bare`, for an image without any bundle, also those for clients that else are
/// served by the system's bundle: they put the user's own settings out of use.
pub(super) fn add(env: &mut Vec<(String, String)>, bare: bool) {
    let mut set = |name: &str, value: String| match env.iter_mut().find(|(own, _)| own == name) {
        Some((_, own)) => *own = value,
        None => env.push((name.to_owned(), value)),
    };
    WHOLE.iter().for_each(|name| set(name, at(BUNDLE)));
    MORE.iter().for_each(|name| set(name, at(AUTHORITY)));
    let mut settle = |name: &str, value: String| {
        if !env.iter().any(|(own, _)| own == name) {
            env.push((name.to_owned(), value));
        }
    };
    settle("APT_CONFIG", at(APT));
    if bare {
        settle("WGETRC", at(WGET));
    }
    let java = format!("-Djavax.net.ssl.trustStore={}", at(JAVA_STORE));
    match env.iter_mut().find(|(name, _)| name == JAVA) {
        // The user's own list would be named so.
        Some((_, own)) if own.contains("-Djavax.net.ssl.trustStore=") => {}
        Some((_, own)) => *own = format!("{own} {java}"),
        None => env.push((JAVA.to_owned(), java)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_image_sets_is_respected_where_it_is_more_than_a_path() {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut env = vec![
            own("PATH", "/bin"),
            own("SSL_CERT_FILE", "/own.pem"),
            own("APT_CONFIG", "/own.conf"),
            own(JAVA, "-Xmx1g"),
        ];
        add(&mut env, false);
        let of = |name: &str| env.iter().find(|(own, _)| own == name).map(|(_, value)| &**value);
        assert_eq!(of("SSL_CERT_FILE"), Some("/run/touchmark/ca.crt"));
        assert_eq!(of("NODE_EXTRA_CA_CERTS"), Some("/run/touchmark/authority.crt"));
        assert_eq!(of("APT_CONFIG"), Some("/own.conf"));
        assert_eq!(of("WGETRC"), None);
        let java = "-Xmx1g -Djavax.net.ssl.trustStore=/run/touchmark/cacerts.jks";
        assert_eq!(of(JAVA), Some(java));
        let names = env.len();
        add(&mut env, true);
        assert_eq!(env.len(), names + 1);
    }
}
