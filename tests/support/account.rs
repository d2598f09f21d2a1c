//! Who builds: an unprivileged user. Root's tests make one and drop to it; anybody else's use themselves.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use crate::{cache, repository};

/// A user of this machine.
#[derive(Debug, Clone)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id on the host.
    pub uid: u32,
    /// Primary group id on the host.
    pub gid: u32,
    /// Home directory as in /etc/passwd.
    pub home: PathBuf,
}

impl Account {
    /// The user that tests build as: `touchmark-e2e` when root runs them, else whoever runs them.
    #[must_use]
    pub fn unprivileged() -> &'static Self {
        static ACCOUNT: OnceLock<Account> = OnceLock::new();
        ACCOUNT.get_or_init(|| {
            if !nix::unistd::geteuid().is_root() {
                return Self::with_uid(nix::unistd::geteuid().as_raw());
            }
            Self::made("touchmark-e2e")
        })
    }

    /// Root with subordinate ids of its own; `None` when this is not root's test run.
    #[must_use]
    pub fn root() -> Option<Self> {
        nix::unistd::geteuid().is_root().then(|| Self::made("root"))
    }

    /// The user `name`, made with subordinate ids when it is not there. Root only.
    #[must_use]
    pub fn made(name: &str) -> Self {
        let _alone = cache::lock("accounts");
        let script = repository().join("scripts/unprivileged-user");
        let status = Command::new(script).arg(name).status().expect("sh");
        assert!(status.success(), "scripts/unprivileged-user {name} failed");
        passwd().into_iter().find(|account| account.name == name).expect("just made")
    }

    fn with_uid(uid: u32) -> Self {
        passwd()
            .into_iter()
            .find(|account| account.uid == uid)
            .expect("this user is in /etc/passwd")
    }

    /// The first range of subordinate user ids: start and length.
    #[must_use]
    pub fn subordinate_ids(&self) -> (u32, u32) {
        let file = fs::read_to_string("/etc/subuid").expect("/etc/subuid");
        let mut ranges = file.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let owner = fields.next()?;
            (owner == self.name || owner == self.uid.to_string()).then_some(())?;
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        ranges
            .next()
            .unwrap_or_else(|| panic!("no subordinate ids for {}: run scripts/setup", self.name))
    }
}

fn passwd() -> Vec<Account> {
    let file = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let parsed = file.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        Some(Account { name: fields[0].to_owned(), uid, gid, home: PathBuf::from(fields.get(5)?) })
    });
    parsed.collect()
}
