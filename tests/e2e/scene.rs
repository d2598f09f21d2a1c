//! What nearly every test begins with: a home, a registry with `busybox`, a policy.

use touchmark_tests::{base, home::Home, registry::Registry, run::Output};

/// A home with a registry beside it.
pub(crate) struct Scene {
    /// Declared first, thus dropped first: its worker goes before the registry does.
    pub(crate) home: Home,
    pub(crate) registry: Registry,
}

impl Scene {
    /// `docker.io` is the scene's registry; steps reach no network.
    pub(crate) fn new() -> Self {
        Self::with_policy("")
    }

    /// The same with more lines in the policy.
    pub(crate) fn with_policy(rest: &str) -> Self {
        let scene = Self { home: Home::new(), registry: base::tiny_registry() };
        scene.home.policy(&scene.registry, rest);
        scene
    }

    /// Writes `ctx/Dockerfile`.
    pub(crate) fn dockerfile(&self, text: &str) {
        self.home.write("ctx/Dockerfile", text);
    }

    /// Builds `ctx` without signing and pushes it as `app:1`.
    #[track_caller]
    pub(crate) fn push_unsigned(&self, more: &[&str]) -> Output {
        let image = self.registry.image("app:1");
        self.build(&[&["--push", "--no-sign", "-t", &image], more].concat())
    }

    /// Builds `ctx`, signs and pushes it as `app:1`. The keys must have been made.
    #[track_caller]
    pub(crate) fn push_signed(&self, more: &[&str]) -> Output {
        let image = self.registry.image("app:1");
        self.build(&[&["--push", "--sign-key", "cosign.key", "-t", &image], more].concat())
    }

    /// Builds `ctx` with the scene's policy and plain progress.
    #[track_caller]
    pub(crate) fn build(&self, args: &[&str]) -> Output {
        let first = ["build", "--progress", "plain", "--policy", "touchmark.toml"];
        self.home.run(&[&first[..], args, &["ctx"]].concat())
    }

    /// Only runs the steps: nothing is exported or pushed.
    #[track_caller]
    pub(crate) fn build_only(&self, dockerfile: &str) -> Output {
        self.dockerfile(dockerfile);
        self.build(&[])
    }
}
