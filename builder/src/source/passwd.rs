//! Users and groups of an image: `USER`, `--chown` and mount options name them, `/etc/passwd` and
//! `/etc/group` of the image's root say which ids they are.

use std::{io::Read, path::Path};

use super::{
    error::SourceError,
    rooted::{Kind, Rooted},
};

/// Largest passwd or group file that is read, in bytes.
const MAX_SIZE: u64 = 16 << 20;
const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Who a process of the image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id in the image.
    pub uid: u32,
    /// Primary group id in the image.
    pub gid: u32,
    /// Supplementary group ids, sorted, none when a group was named.
    pub groups: Vec<u32>,
    /// Home directory, `/` when the user has no entry.
    pub home: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Resolves `user[:group]` for a process, as `USER` means it: an empty text is root; a number
/// without an entry has group 0.
///
/// # Errors
/// When a name is not in the image, or a file cannot be read.
pub fn resolve_user(root: &Path, spec: &str) -> Result<ResolvedUser, SourceError> {
    let (user, group) = split(spec)?;
    let image = open(root)?;
    let number = user.parse::<u32>().ok();
    // The first entry wins, be it by name or by id.
    let entry = users(&image)?.into_iter().find(|entry| match user {
        "" => entry.uid == 0,
        _ => entry.name == user || Some(entry.uid) == number,
    });
    let mut resolved = match (&entry, number) {
        (Some(User { uid, gid, home, .. }), _) => {
            ResolvedUser { uid: *uid, gid: *gid, groups: Vec::new(), home: home.clone() }
        }
        (None, _) if user.is_empty() => root_user(0),
        (None, Some(uid)) => root_user(uid),
        (None, None) => return Err(unknown("user", user, PASSWD)),
    };
    match group {
        Some(group) => resolved.gid = group_id(&image, group)?,
        None => {
            let name = entry.map_or_else(String::new, |entry| entry.name);
            let member = |group: &Group| group.members.contains(&name);
            let groups = groups(&image)?;
            resolved.groups = groups.iter().filter(|g| member(g)).map(|g| g.gid).collect();
            resolved.groups.sort_unstable();
            resolved.groups.dedup();
        }
    }
    if resolved.home.is_empty() {
        resolved.home = "/".into();
    }
    Ok(resolved)
}

/// Resolves `user[:group]` for files, as `--chown` means it in BuildKit: a number without a group is
/// also the group, a name without one has its primary group. Who is not in the image is root, and a
/// group that is not there is the user's; an empty group is 0. What follows a second colon is passed
/// over.
///
/// # Errors
/// When a file of the image cannot be read.
pub fn resolve_owner(root: &Path, spec: &str) -> Result<(u32, u32), SourceError> {
    let mut parts = spec.split(':');
    let user = parts.next().unwrap_or_default();
    let image = open(root)?;
    let (uid, own) = match user.parse::<u32>() {
        Ok(id) => (id, id),
        Err(_) if user.is_empty() => (0, 0),
        Err(_) => {
            let entry = users(&image)?.into_iter().find(|entry| entry.name == user);
            entry.map_or((0, 0), |entry| (entry.uid, entry.gid))
        }
    };
    let gid = match parts.next() {
        None => own,
        Some("") => 0,
        Some(group) => match group.parse() {
            Ok(id) => id,
            Err(_) => groups(&image)?
                .into_iter()
                .find(|entry| entry.name == group)
                .map_or(own, |entry| entry.gid),
        },
    };
    Ok((uid, gid))
}

/// Is this `user[:group]` all numbers, so that no image is needed to know who it is?
#[must_use]
pub fn is_numeric(spec: &str) -> bool {
    spec.split(':').take(2).all(|part| part.is_empty() || part.parse::<u32>().is_ok())
}

/// Splits at the colon. A second one, or a line break, is no user.
fn split(spec: &str) -> Result<(&str, Option<&str>), SourceError> {
    let (user, group) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spec, None),
    };
    let odd = |text: &str| text.contains([':', '\n', '\0']) || text.starts_with('-');
    if odd(user) || group.is_some_and(odd) {
        return Err(SourceError::BadUser { text: spec.into() });
    }
    Ok((user, group))
}

fn root_user(uid: u32) -> ResolvedUser {
    let home = if uid == 0 { "/root" } else { "/" };
    ResolvedUser { uid, gid: 0, groups: Vec::new(), home: home.into() }
}

fn group_id(image: &Rooted, group: &str) -> Result<u32, SourceError> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let entry = groups(image)?.into_iter().find(|entry| entry.name == group);
    entry.map(|entry| entry.gid).ok_or_else(|| unknown("group", group, GROUP))
}

fn unknown(kind: &'static str, name: &str, file: &'static str) -> SourceError {
    SourceError::UnknownName { kind, name: name.into(), file }
}

fn open(root: &Path) -> Result<Rooted, SourceError> {
    Rooted::open(root).map_err(SourceError::io("open the root of the image", root))
}

/// passwd(5): name, password, uid, gid, comment, home, shell. A line that is not so is skipped.
fn users(image: &Rooted) -> Result<Vec<User>, SourceError> {
    lines(image, PASSWD, |fields| {
        let [name, _, uid, gid, _, home, ..] = fields else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        Some(User { name: (*name).into(), uid, gid, home: (*home).into() })
    })
}

/// group(5): name, password, gid, members.
fn groups(image: &Rooted) -> Result<Vec<Group>, SourceError> {
    lines(image, GROUP, |fields| {
        let [name, _, gid, members, ..] = fields else { return None };
        let members = members.split(',').map(str::trim).filter(|name| !name.is_empty());
        let members = members.map(str::to_owned);
        Some(Group { name: (*name).into(), gid: gid.parse().ok()?, members: members.collect() })
    })
}

/// The entries of a file of colon-separated lines; none when the file is not there.
fn lines<T>(
    image: &Rooted,
    file: &'static str,
    parse: impl Fn(&[&str]) -> Option<T>,
) -> Result<Vec<T>, SourceError> {
    let io = || SourceError::io("read", file);
    let path = image.resolve(Path::new(file), true).map_err(io())?;
    let is_file = image.lstat(&path).map_err(io())?.is_some_and(|meta| meta.kind == Kind::File);
    if !is_file {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    let open = image.open_file(&path).map_err(io())?;
    open.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(io())?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(SourceError::TooLarge { path: file.into(), limit: MAX_SIZE });
    }
    let text = String::from_utf8_lossy(&bytes);
    let entries = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    Ok(entries.filter_map(|line| parse(&line.split(':').collect::<Vec<_>>())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let passwd = "# users\nroot:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:1001::/home/app:\n\
                      7:x:70:71:a name of digits:/seven:\n";
        std::fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        let group = "root:x:0:\naudio:x:29:app,root\napp:x:1001:\nvideo:x:44: app\n";
        std::fs::write(dir.path().join("etc/group"), group).unwrap();
        dir
    }

    fn user(spec: &str) -> Result<(u32, u32, Vec<u32>, String), String> {
        let resolved = resolve_user(image().path(), spec).map_err(|error| error.to_string())?;
        Ok((resolved.uid, resolved.gid, resolved.groups, resolved.home))
    }

    #[test]
    fn processes() {
        assert_eq!(user("").unwrap(), (0, 0, vec![29], "/root".into()));
        assert_eq!(user("app").unwrap(), (1000, 1001, vec![29, 44], "/home/app".into()));
        assert_eq!(user("1000").unwrap(), (1000, 1001, vec![29, 44], "/home/app".into()));
        assert_eq!(user("app:audio").unwrap(), (1000, 29, vec![], "/home/app".into()));
        assert_eq!(user("app:5").unwrap(), (1000, 5, vec![], "/home/app".into()));
        assert_eq!(user("4242").unwrap(), (4242, 0, vec![], "/".into()));
        assert_eq!(user("7").unwrap(), (70, 71, vec![], "/seven".into()));
        assert_eq!(user("4242:4243").unwrap(), (4242, 4243, vec![], "/".into()));
    }

    #[test]
    fn files() {
        let owner = |spec: &str| resolve_owner(image().path(), spec).unwrap();
        assert_eq!(owner("app"), (1000, 1001));
        assert_eq!(owner("55"), (55, 55));
        assert_eq!(owner("55:app"), (55, 1001));
        assert_eq!(owner(":app"), (0, 1001));
        assert_eq!(owner("app:"), (1000, 0));
        assert_eq!(owner("nobody"), (0, 0));
        assert_eq!(owner("nobody:app"), (0, 1001));
        assert_eq!(owner("app:none"), (1000, 1001));
        assert_eq!(owner("app:app:x"), (1000, 1001));
        assert_eq!(owner("-1"), (0, 0));
        assert_eq!(owner(""), (0, 0));
        assert!(is_numeric("7") && is_numeric("7:8") && !is_numeric("7:app") && !is_numeric("app"));
    }

    #[test]
    fn who_is_not_there_is_named_with_the_way_out() {
        assert_eq!(
            user("nobody").unwrap_err(),
            "the user 'nobody' is not in /etc/passwd of the image"
        );
        assert_eq!(
            user("app:none").unwrap_err(),
            "the group 'none' is not in /etc/group of the image"
        );
        for spec in ["a:b:c", "-1", "a\nb"] {
            let error = resolve_user(image().path(), spec).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("'{spec}' is not a user of the form user[:group] or uid[:gid]")
            );
        }
        let error = resolve_user(image().path(), "nobody").unwrap_err();
        assert_eq!(error.help(), Some("create it in an earlier RUN, or use numeric ids"));
    }

    #[test]
    fn an_image_without_users_and_one_whose_passwd_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(resolve_user(dir.path(), "12").unwrap().uid, 12);
        assert_eq!(resolve_user(dir.path(), "").unwrap().uid, 0);
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(outside.path(), "spy:x:1:1::/:\n").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("etc/passwd")).unwrap();
        assert!(resolve_user(dir.path(), "spy").is_err());
    }
}
