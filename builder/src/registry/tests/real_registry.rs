//! The docker-registry binary of the distribution, on a free loopback port.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running registry; it ends, and its storage goes, when this is dropped.
pub(super) struct RealRegistry {
    child: Child,
    pub(super) host: String,
    home: tempfile::TempDir,
}

/// `name` in the folder of test certificates.
pub(super) fn tls_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/registry/tests/tls").join(name)
}

impl RealRegistry {
    pub(super) fn start() -> Self {
        Self::with("", "")
    }

    /// Wants the user `alice` with the password `s3cret`.
    pub(super) fn with_password() -> Self {
        Self::with("", "auth:\n  htpasswd: {realm: test, path: HOME/htpasswd}\n")
    }

    pub(super) fn with_tls() -> Self {
        let file = |name| tls_file(name).display().to_string();
        Self::with(
            &format!(
                "  tls: {{certificate: {}, key: {}}}\n",
                file("server.pem"),
                file("server-key.pem")
            ),
            "",
        )
    }

    /// Another process may take the free port first: then another one is chosen.
    fn with(http: &str, more: &str) -> Self {
        let mut tries = (0..5).map(|_| Self::try_with(http, more));
        match tries.find_map(Result::ok) {
            Some(registry) => registry,
            None => {
                panic!("docker-registry does not start: {:?}", Self::try_with(http, more).err())
            }
        }
    }

    fn try_with(http: &str, more: &str) -> Result<Self, String> {
        let home = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = free.local_addr().unwrap().to_string();
        drop(free);
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage:\n  filesystem: {{rootdirectory: HOME/data}}\nhttp:\n  addr: {host}\n{http}{more}"
        );
        let path = home.path().join("config.yml");
        fs::write(&path, config.replace("HOME", &home.path().display().to_string())).unwrap();
        // bcrypt of "s3cret" with the least cost: what is tested is not its strength.
        let hash = "$2b$04$toRnSzIoCEz0OPF6B5hhS.jDRLkjt.6u5Z2f0VrgsU638ZDDQ0xB6";
        fs::write(home.path().join("htpasswd"), format!("alice:{hash}\n")).unwrap();
        let child = Command::new("docker-registry")
            .args(["serve".as_ref(), path.as_os_str()])
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.path().join("log")).unwrap())
            .spawn()
            .expect("these tests need docker-registry: apt-get install docker-registry");
        let mut registry = Self { child, host, home };
        for _ in 0..500 {
            if TcpStream::connect(&registry.host).is_ok() {
                return Ok(registry);
            }
            if registry.child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(registry.log())
    }
}

impl RealRegistry {
    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
