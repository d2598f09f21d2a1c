//! `examples/hello`, built and pushed once by the binary under test; each test that looks at the result gets a
//! registry with a copy of it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{base, cache, home::Home, registry::Registry, repository, run::Output};

/// The repository it is pushed to.
pub const REPOSITORY: &str = "hello";

/// What `RUN apt-cache show` of the packages stage writes for each .deb that apt kept.
const AUDIT: &str = "\nFROM build AS audit\n\
    RUN cd /var/cache/apt/archives && for deb in *.deb; do \
    name=$(dpkg-deb -f $deb Package); version=$(dpkg-deb -f $deb Version); arch=$(dpkg-deb -f $deb Architecture); \
    echo $name $version $arch $(apt-cache show $name:$arch=$version | sed -n 's/^SHA256: //p' | head -n 1); done > /packages.txt\n\
    FROM scratch AS packages\nCOPY --from=audit /packages.txt /packages.txt\n";

/// The built example.
pub struct Example {
    /// A registry that holds `hello:1`, and `packages:1` (stage 1 again, from the cache, with a list of its debs).
    pub registry: Registry,
    folder: PathBuf,
}

impl Example {
    /// The example with its referrers in a registry of this caller's own.
    #[must_use]
    pub fn pushed() -> Self {
        let folder = cache::once(&key(), build);
        Self { registry: Registry::from_storage(&folder.join("storage")), folder }
    }

    /// `127.0.0.1:PORT/hello:1`.
    #[must_use]
    pub fn image(&self) -> String {
        self.registry.image("hello:1")
    }

    /// The digest of `hello:1`.
    #[must_use]
    pub fn digest(&self) -> String {
        self.registry.tag(REPOSITORY, "1").expect("pushed")
    }

    /// Puts the public key into a home's working directory as `cosign.pub`.
    pub fn lend_key(&self, home: &Home) {
        for name in ["cosign.pub", "cosign.key"] {
            let path =
                home.write(name, fs::read(self.folder.join(name)).expect("kept with the example"));
            home.give(&path, 0o600);
        }
    }

    /// What the first, the second (nothing changed) and the packages build said.
    #[must_use]
    pub fn output(&self, build: &str) -> Output {
        let text =
            fs::read(self.folder.join(format!("{build}.json"))).expect("kept with the example");
        let value: Value = serde_json::from_slice(&text).expect("JSON");
        let text = |key: &str| value[key].as_str().expect("text").to_owned();
        let took = Duration::from_millis(value["milliseconds"].as_u64().expect("a number"));
        Output { code: 0, stdout: text("stdout"), stderr: text("stderr"), took }
    }
}

/// The name in the cache: another binary or another example is another build.
fn key() -> String {
    let folder = repository().join("examples/hello");
    let files =
        ["Dockerfile", "hello.c"].map(|name| fs::read(folder.join(name)).expect("the example"));
    format!("hello-{}-{}", cache::binary_key(), &crate::digest(&files.concat())[7..19])
}

/// Set when the example could not be built: the tests after the first need not try again.
static FAILED: AtomicBool = AtomicBool::new(false);

struct SetOnPanic;

impl Drop for SetOnPanic {
    fn drop(&mut self) {
        FAILED.fetch_or(std::thread::panicking(), Ordering::SeqCst);
    }
}

/// Builds in a home of its own: the example, the example again, and the stage that lists what apt fetched.
fn build(folder: &Path) {
    assert!(
        !FAILED.load(Ordering::SeqCst),
        "the example could not be built: see the first test that wanted it"
    );
    let _flag = SetOnPanic;
    cache::forget_others("hello-", &key());
    fs::create_dir(folder).expect("a folder in the cache");
    let registry = base::registry();
    let home = Home::new();
    prepare(&home, &registry);
    let keep = |name: &str, output: &Output| {
        let milliseconds = u64::try_from(output.took.as_millis()).expect("short");
        let value =
            json!({"stdout": output.stdout, "stderr": output.stderr, "milliseconds": milliseconds});
        fs::write(folder.join(format!("{name}.json")), value.to_string()).expect("the cache");
    };
    keep("first", &build_and_push(&home, &registry, "hello:1"));
    keep("second", &build_and_push(&home, &registry, "hello:1"));

    let dockerfile = fs::read_to_string(home.path("hello/Dockerfile")).expect("just copied");
    home.write("hello/Dockerfile", dockerfile + AUDIT);
    let image = registry.image("packages:1");
    let args = [
        "build",
        "--push",
        "--progress",
        "plain",
        "--policy",
        "touchmark.toml",
        "--sign-key",
        "cosign.key",
    ];
    let args = [&args[..], &["--target", "packages", "-t", &image, "hello"]].concat();
    keep("packages", &home.run(&args).succeeded());

    for name in ["cosign.key", "cosign.pub"] {
        fs::copy(home.path(name), folder.join(name)).expect("the cache");
    }
    crate::registry::copy_storage(&registry.storage(), &folder.join("storage"));
}

/// Puts the example, a policy for its mirror and a key pair into `home`.
pub fn prepare(home: &Home, registry: &Registry) {
    home.copy(&repository().join("examples/hello"), "hello");
    home.policy(registry, &base::mirror_policy());
    home.make_keys();
}

/// `touchmark build --push` of the example.
#[track_caller]
pub fn build_and_push(home: &Home, registry: &Registry, name: &str) -> Output {
    let image = registry.image(name);
    let args = ["build", "--push", "--progress", "plain", "--policy", "touchmark.toml"];
    home.run(&[&args[..], &["--sign-key", "cosign.key", "-t", &image, "hello"]].concat())
        .succeeded()
}
