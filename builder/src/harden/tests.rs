mod commands;
mod database;
mod debian;
mod hostile;

use super::{
    Action, HardenError, Level,
    bench::{Image, layer},
};

fn findings(image: &Image) -> Vec<String> {
    let hardened = image.harden().unwrap();
    let line = |finding: &super::Finding| {
        let layer = finding.layer.map(|layer| format!("{layer} ")).unwrap_or_default();
        format!("{} {layer}{} {:?}: {}", finding.rule, finding.path, finding.action, finding.detail)
    };
    hardened.findings.iter().map(line).collect()
}

#[test]
fn setuid_bits_and_capabilities_go_in_every_layer() {
    let lower = layer(&["s usr/bin/passwd 1", "d usr/bin", "h usr/bin/also usr/bin/passwd"]);
    let upper = layer(&["s usr/bin/passwd 2", "c usr/bin/ping 3", "w x/.wh.y", "f etc/motd 4"]);
    let mut with_directory = super::bench::layer(&["d var/mail"]);
    with_directory.0[100..108].copy_from_slice(b"0002755\0");
    let sum: u32 = with_directory.0[..148]
        .iter()
        .chain(&with_directory.0[156..512])
        .map(|byte| u32::from(*byte))
        .sum::<u32>()
        + 8 * 32;
    with_directory.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let image = Image::new(&[lower, upper, with_directory]);
    assert_eq!(
        image.lines(),
        [
            vec!["755 usr/bin/passwd", "dir 755 usr/bin", "755 usr/bin/also -> usr/bin/passwd"],
            vec!["755 usr/bin/passwd", "755 usr/bin/ping +caps", "hidden 644 x/y", "644 etc/motd"],
            vec!["dir 2755 var/mail"],
        ]
    );
    let hardened = image.harden().unwrap();
    assert_eq!(hardened.layers[2], image.layers[2], "a layer without findings keeps its blob");
    assert_eq!(hardened.layers[1].media_type, image.layers[1].media_type);
    let ping = &image.read(&hardened)[1].index().entries[1];
    assert_eq!(ping.xattrs.keys().collect::<Vec<_>>(), ["user.note"]);
    assert_eq!(
        findings(&image),
        [
            "H01 0 /usr/bin/passwd ModeChanged: setuid or setgid",
            "H01 1 /usr/bin/passwd ModeChanged: setuid or setgid",
            "H02 1 /usr/bin/ping CapabilitiesDropped: file capabilities",
        ]
    );
    let first = &hardened.findings[0];
    assert_eq!((first.old_mode, first.new_mode), (Some(0o6755), Some(0o755)));
}

#[test]
fn shells_go_by_name_link_copy_and_signature() {
    let lower = layer(&[
        "d usr/bin",
        "l bin usr/bin",
        "x usr/bin/dash SHELL",
        "l usr/bin/sh dash",
        "h usr/bin/hard usr/bin/dash",
        "x usr/bin/ls LS",
        "f usr/share/bash-completion/completions/curl complete",
        "d usr/share/doc/bash",
        "f opt/copy SHELL",
    ]);
    let upper = layer(&[
        "l opt/link /bin/sh",
        "x opt/renamed \x7fELF nothing",
        "h opt/across usr/bin/hard",
        "l etc/alternatives/nc /bin/nc.openbsd",
        "x bin/nc.openbsd NC",
        "l usr/bin/nc /etc/alternatives/nc",
        "l usr/bin/telnet nowhere",
        "l opt/broken nowhere",
    ]);
    let image = Image::new(&[lower, upper]);
    assert_eq!(
        image.lines(),
        [
            vec![
                "dir 755 usr/bin",
                "777 bin -> usr/bin",
                "755 usr/bin/ls",
                "644 usr/share/bash-completion/completions/curl",
                "dir 755 usr/share/doc/bash",
            ],
            vec!["755 opt/renamed", "777 opt/broken -> nowhere"],
        ]
    );
    let found = findings(&image);
    for line in [
        "H03 0 /usr/bin/dash Removed: a shell by its name",
        "H03 0 /opt/copy Removed: the same content as '/usr/bin/dash'",
        "H03 0 /usr/bin/hard Removed: a link to '/usr/bin/dash'",
        "H05 1 /usr/bin/nc.openbsd Removed: a network or pivot tool by its name",
        "H05 1 /usr/bin/telnet Removed: a network or pivot tool by its name",
    ] {
        assert!(found.iter().any(|found| found == line), "{line} is not in {found:#?}");
    }
}

#[test]
fn a_renamed_busybox_goes_with_its_applets() {
    let busybox = ["/usr/bin/busybox", "/bin/busybox"].iter().find_map(|p| std::fs::read(p).ok());
    let Some(busybox) = busybox else {
        eprintln!("skipped: no busybox here");
        return;
    };
    let mut writer = crate::layer::emit::ArchiveWriter::new(Vec::new());
    let kind = crate::layer::member::Kind::File;
    let mut member = crate::layer::member::Member::new("opt/innocent", kind, 0o755);
    member.size = busybox.len() as u64;
    writer.append(&member, &busybox[..]).unwrap();
    let lower = super::bench::LayerBytes(writer.finish().unwrap());
    let upper = layer(&["l bin/ls /opt/innocent", "h bin/cat opt/innocent", "f bin/x"]);
    let image = Image::new(&[lower, upper]);
    assert_eq!(image.lines(), [vec![], vec!["644 bin/x"]]);
    assert!(findings(&image)[0].ends_with("busybox by its content"));
}

#[test]
fn what_a_shell_name_leads_to_is_a_shell() {
    let image = Image::new(&[
        layer(&["l bin/sh /opt/tool", "x opt/tool T", "l bin/nc /opt/server", "x opt/server S"]),
        layer(&["h bin/ash opt/other"]),
    ]);
    assert_eq!(image.lines(), [vec!["755 opt/server"], vec![]]);
}

#[test]
fn what_a_removed_entry_hid_stays_hidden() {
    let lower = layer(&["x opt/tool harmless", "d opt/dir", "f opt/dir/x 1", "x usr/bin/bash B"]);
    let upper = layer(&["x opt/tool B", "x opt/dir B"]);
    let image = Image::new(&[lower, upper]);
    assert_eq!(
        image.lines(),
        [
            vec!["755 opt/tool", "dir 755 opt/dir", "644 opt/dir/x"],
            vec!["hidden 0 opt/tool", "hidden 0 opt/dir"],
        ]
    );
}

#[test]
fn a_shell_that_a_later_layer_deletes_or_hides_goes_too() {
    let image = Image::new(&[
        layer(&["x bin/bash B", "d opt", "x opt/sh S"]),
        layer(&["w bin/.wh.bash", "f opt/.wh..wh..opq", "f opt/new N"]),
    ]);
    let hardened = image.harden().unwrap();
    assert_eq!(image.lines()[0], ["dir 755 opt"]);
    assert_eq!(hardened.layers[1], image.layers[1]);
}

#[test]
fn exceptions_hold_for_what_they_lead_to_and_are_reported() {
    let image = Image::new(&[layer(&[
        "d usr/bin",
        "l bin usr/bin",
        "x usr/bin/busybox B",
        "l usr/bin/sh busybox",
        "l usr/bin/ls busybox",
        "l usr/bin/wget busybox",
        "s usr/bin/su S",
    ])])
    .keep(&["/bin/sh", "/usr/bin/su"]);
    assert_eq!(
        image.lines()[0],
        [
            "dir 755 usr/bin",
            "777 bin -> usr/bin",
            "755 usr/bin/busybox",
            "777 usr/bin/sh -> busybox",
            "777 usr/bin/ls -> busybox",
            "6755 usr/bin/su",
        ]
    );
    assert_eq!(
        findings(&image),
        [
            "H03 0 /usr/bin/busybox Kept: the policy keeps '/usr/bin/sh', a link to it",
            "H03 0 /usr/bin/sh Kept: a shell by its name; the policy keeps '/bin/sh'",
            "H05 0 /usr/bin/wget Removed: a network or pivot tool by its name",
            "H05 0 /usr/bin/su Kept: a network or pivot tool by its name; the policy keeps \
             '/usr/bin/su'",
            "H01 0 /usr/bin/su Kept: setuid or setgid; the policy keeps '/usr/bin/su'",
        ]
    );
}

#[test]
fn the_policy_can_remove_more() {
    let image = Image::new(&[layer(&["x usr/bin/perl P", "f usr/bin/perldoc Q", "f usr/x"])])
        .remove(&["/usr/bin/perl*"]);
    assert_eq!(image.lines()[0], ["644 usr/x"]);
    let hardened = image.harden().unwrap();
    assert_eq!(
        (&*hardened.findings[0].rule, hardened.findings[0].action),
        ("policy", Action::Removed)
    );
}

#[test]
fn bytes_after_the_end_do_not_survive() {
    let mut hidden = layer(&["f a 1"]);
    hidden.0.extend(layer(&["x bin/sh S"]).0);
    let image = Image::new(&[hidden]);
    let hardened = image.harden().unwrap();
    assert_ne!(hardened.layers, image.layers);
    assert_eq!(image.read(&hardened)[0].0, layer(&["f a 1"]).0);
}

#[test]
fn hardening_twice_changes_nothing_more() {
    let mut image = Image::new(&[
        layer(&["x bin/bash B", "s bin/mount M", "x opt/tool T"]),
        layer(&["x opt/tool B"]),
    ]);
    let once = image.harden().unwrap();
    assert_eq!(once, image.harden().unwrap(), "same input, same result");
    (image.layers, image.config) = (once.layers.clone(), once.config.clone());
    let twice = image.harden().unwrap();
    assert_eq!((twice.layers, twice.findings), (once.layers, vec![]));
}

#[test]
fn levels() {
    let mut image = Image::new(&[layer(&["x bin/bash B"])]);
    image.options.level = Level::Off;
    let hardened = image.harden().unwrap();
    assert_eq!((hardened.layers, hardened.findings), (image.layers.clone(), vec![]));
    image.options.level = Level::Strict;
    assert_eq!(
        image.harden().unwrap_err().to_string(),
        "the harden level 'strict' is not available in this version\nhelp: use level = \
         \"baseline\" and list further paths in [harden] remove"
    );
}

#[test]
fn damaged_images_have_their_message() {
    let mut image = Image::new(&[layer(&["f a 1"])]);
    image.config.rootfs.diff_ids.clear();
    assert_eq!(
        image.harden().unwrap_err().to_string(),
        "the image has 1 layers, but its configuration names 0"
    );
    let mut image = Image::new(&[layer(&["f a 1"]), layer(&["f ../b 1"])]);
    assert_eq!(
        image.harden().unwrap_err().to_string(),
        "layer 1: entry '../b' is refused: its path climbs with '..'"
    );
    image.config.rootfs.diff_ids.swap(0, 1);
    let fault = image.harden().unwrap_err();
    assert!(matches!(fault, HardenError::Scan { layer: 0, .. }), "{fault}");
}
