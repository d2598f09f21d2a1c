//! `[registries]`: where FROM, COPY --from, `docker-image://` contexts and `--push` may go.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use crate::oci::reference::Reference;

use super::{fault::Faults, proposal::quoted, section::Section};

/// The registries of the built-in list, used when the policy has no `[registries]`.
pub const BUILT_IN: [&str; 7] = [
    "docker.io",
    "quay.io",
    "ghcr.io",
    "gcr.io",
    "public.ecr.aws",
    "registry.k8s.io",
    "mcr.microsoft.com",
];

/// The allowlist of registries. Loopback registries are always in it, over plain HTTP by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistriesPolicy {
    entries: BTreeMap<String, Registry>,
    /// Whether the policy file has the section, which then replaces the built-in list.
    written: bool,
}

/// What the policy says about one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Registry {
    mirror: Option<String>,
    plain_http: Option<bool>,
    require_signature: Option<String>,
    idle: Option<Duration>,
}

/// What is to be done at the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading manifests and blobs. A mirror takes the registry's place.
    Pull,
    /// Writing them. A mirror is passed over: what is pushed goes to the registry that is named.
    Push,
}

/// How to reach an image that the policy allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The image, rewritten to the mirror where there is one.
    pub reference: Reference,
    /// HTTP instead of HTTPS.
    pub plain_http: bool,
    /// The public key file that must have signed the image, where the policy asks for one.
    pub require_signature: Option<String>,
    /// How long the registry may be silent, where the policy says it.
    pub idle: Option<Duration>,
}

/// The policy does not list the registry. The message ends with the lines to add.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy does not allow {} registry '{registry}' for '{image}'\nhelp: {remedy}",
    match access { Access::Pull => "pulling from", Access::Push => "pushing to" })]
pub struct RegistryDenied {
    /// Host name and port that was asked for.
    pub registry: String,
    /// The image it was asked for.
    pub image: String,
    /// What was to be done.
    pub access: Access,
    /// The policy lines that would allow it.
    pub remedy: String,
}

impl Default for RegistriesPolicy {
    fn default() -> Self {
        let entry = |name: &str| (name.to_owned(), Registry::default());
        Self { entries: BUILT_IN.into_iter().map(entry).collect(), written: false }
    }
}

impl RegistriesPolicy {
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        let mut entries = BTreeMap::new();
        for name in section.keys() {
            let Some(entry) = section.section(name.value, faults) else { continue };
            entry.only(&["mirror", "plain-http", "require-signature", "idle-seconds"], faults);
            match registry_of(&format!("{}/image", name.value)) {
                Some(registry) => {
                    entries.insert(registry, Registry::read(&entry, faults));
                }
                None => faults.add(
                    name.span,
                    format!("'{}' is not a registry", name.value),
                    "write host name and port alone, as in \"registry.example:5000\"".into(),
                ),
            }
        }
        Self { entries, written: true }
    }

    /// Where `reference` is read from or written to.
    ///
    /// # Errors
    /// [`RegistryDenied`] when its registry is neither listed nor loopback.
    pub fn route(&self, reference: &Reference, access: Access) -> Result<Route, RegistryDenied> {
        let registry = reference.registry();
        let entry = match self.entries.get(registry) {
            Some(entry) => entry.clone(),
            None if is_loopback(registry) => Registry::default(),
            None => return Err(self.denied(reference, access)),
        };
        let mirror = entry.mirror.as_deref().filter(|_| access == Access::Pull);
        let target = mirror.map_or_else(|| reference.clone(), |to| reference.mirrored(to));
        // What the entry leaves open about its mirror, the mirror's own entry says.
        let own = self.entries.get(target.registry()).filter(|_| mirror.is_some());
        let plain_http = entry.plain_http.or_else(|| own?.plain_http);
        let plain_http = plain_http.unwrap_or_else(|| is_loopback(target.registry()));
        let idle = entry.idle.or_else(|| own?.idle);
        let require_signature = entry.require_signature;
        Ok(Route { reference: target, plain_http, require_signature, idle })
    }

    /// What the policy file says about `registry`, as a table of TOML; none where it says nothing.
    #[must_use]
    pub fn written_entry(&self, registry: &str) -> Option<String> {
        let entry = self.entries.get(registry).filter(|_| self.written)?;
        let mut parts = Vec::new();
        parts.extend(entry.mirror.iter().map(|mirror| format!("mirror = {}", quoted(mirror))));
        parts.extend(entry.plain_http.iter().map(|plain| format!("plain-http = {plain}")));
        let key = entry.require_signature.iter();
        parts.extend(key.map(|key| format!("require-signature = {{ key = {} }}", quoted(key))));
        let idle = entry.idle.iter();
        parts.extend(idle.map(|idle| format!("idle-seconds = {}", idle.as_secs())));
        Some(if parts.is_empty() { "{}".into() } else { format!("{{ {} }}", parts.join(", ")) })
    }

    /// The registry of the mirror that stands for `registry`.
    #[must_use]
    pub fn mirror_registry(&self, registry: &str) -> Option<String> {
        let mirror = self.entries.get(registry)?.mirror.as_ref()?;
        registry_of(&format!("{mirror}/image"))
    }

    /// The public key files that entries ask for, each once.
    pub fn signature_keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.entries.values().filter_map(|entry| entry.require_signature.as_deref());
        keys.collect::<BTreeSet<_>>().into_iter()
    }

    fn denied(&self, reference: &Reference, access: Access) -> RegistryDenied {
        let registry = reference.registry().to_owned();
        let mut remedy = format!("add to touchmark.toml:\n  [registries]\n  \"{registry}\" = {{}}");
        if !self.written {
            let note = "\n  and name there the others that the build uses, for the section replaces \
                        the built-in list";
            remedy.push_str(note);
        }
        RegistryDenied { registry, image: reference.to_string(), access, remedy }
    }
}

impl Registry {
    fn read(entry: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        let mirror = entry.text("mirror", faults).and_then(|text| {
            let location = text.value.trim_end_matches('/');
            if registry_of(&format!("{location}/image")).is_none() {
                let message = format!("'{}' is not the location of a mirror", text.value);
                let help = "write it as host[:port][/path], without https://".to_owned();
                faults.add(text.span, message, help);
                return None;
            }
            Some(location.to_owned())
        });
        let signature = entry.section("require-signature", faults).and_then(|section| {
            section.only(&["key"], faults);
            section.required("key", faults).map(|key| key.value.to_owned())
        });
        let plain_http = entry.flag("plain-http", faults);
        let idle = entry.count("idle-seconds", faults).map(Duration::from_secs);
        Self { mirror, plain_http, require_signature: signature, idle }
    }
}

/// The registry of an image text that names one explicitly.
fn registry_of(image: &str) -> Option<String> {
    let reference: Reference = image.parse().ok()?;
    let host = image.split('/').next()?;
    let named = reference.registry() == host || host == "index.docker.io";
    named.then(|| reference.registry().to_owned())
}

/// `localhost`, 127.0.0.0/8 and `[::1]`, with any port.
#[must_use]
pub fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => registry.rsplit_once(':').map_or(registry, |(host, _)| host),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;

    fn route(policy: &str, image: &str, access: Access) -> Result<Route, RegistryDenied> {
        let policy = Policy::parse("touchmark.toml", policy).unwrap();
        policy.registries.route(&image.parse().unwrap(), access)
    }

    fn pulled(policy: &str, image: &str) -> (String, bool) {
        let route = route(policy, image, Access::Pull).unwrap();
        (route.reference.to_string(), route.plain_http)
    }

    #[test]
    fn the_built_in_list_and_loopback_are_allowed() {
        assert_eq!(pulled("", "debian:12"), ("docker.io/library/debian:12".into(), false));
        for image in ["127.0.0.1:5000/a", "localhost:5000/a", "localhost/a", "127.8.9.1/a"] {
            assert_eq!(pulled("", image), (image.to_owned(), true), "{image}");
        }
        assert_eq!(pulled("", "[::1]:5000/a").0, "[::1]:5000/a");
        assert!(!is_loopback("127.0.0.1.example:5000") && !is_loopback("[::2]"));
    }

    #[test]
    fn a_mirror_is_for_pulls_only() {
        let policy = "[registries]\n\"docker.io\" = { mirror = \"127.0.0.1:5000/hub\" }\n";
        assert_eq!(pulled(policy, "debian"), ("127.0.0.1:5000/hub/library/debian".into(), true));
        let pushed = route(policy, "team/app", Access::Push).unwrap();
        assert_eq!(pushed.reference.to_string(), "docker.io/team/app");
        assert!(!pushed.plain_http);
        let policy = "[registries]\n\"docker.io\" = { mirror = \"m.example/hub\" }\n\
                      \"m.example\" = { plain-http = true }\n";
        assert_eq!(pulled(policy, "debian"), ("m.example/hub/library/debian".into(), true));
    }

    #[test]
    fn a_required_signature_travels_with_the_route() {
        let policy = "[registries]\n\"r.example\" = { require-signature = { key = \"b.pub\" } }\n";
        let route = route(policy, "r.example/a", Access::Pull).unwrap();
        assert_eq!(route.require_signature.as_deref(), Some("b.pub"));
    }

    #[test]
    fn silence_is_allowed_for_as_long_as_the_entry_or_that_of_its_mirror_says() {
        let idle = |entry: &str, access| {
            let policy = format!(
                "[registries]\n\"docker.io\" = {{ mirror = \"m.example\"{entry} }}\n\
                 \"m.example\" = {{ idle-seconds = 7 }}\n"
            );
            route(&policy, "debian", access).unwrap().idle.map(|idle| idle.as_secs())
        };
        assert_eq!(idle("", Access::Pull), Some(7));
        assert_eq!(idle("", Access::Push), None);
        assert_eq!(idle(", idle-seconds = 9", Access::Pull), Some(9));
        assert_eq!(idle(", idle-seconds = 9", Access::Push), Some(9));
    }

    #[test]
    fn a_denial_names_the_line_to_add() {
        let policy = "[registries]\n\"docker.io\" = {}\n";
        assert_eq!(
            route(policy, "registry.example/a:1", Access::Push).unwrap_err().to_string(),
            "the policy does not allow pushing to registry 'registry.example' for \
             'registry.example/a:1'\n\
             help: add to touchmark.toml:\n  [registries]\n  \"registry.example\" = {}"
        );
        assert_eq!(
            route("", "registry.example/a", Access::Pull).unwrap_err().to_string(),
            "the policy does not allow pulling from registry 'registry.example' for \
             'registry.example/a'\n\
             help: add to touchmark.toml:\n  [registries]\n  \"registry.example\" = {}\n  and name \
             there the others that the build uses, for the section replaces the built-in list"
        );
    }
}
