use crate::harden::bench::{Image, LayerBytes, layer};

const ONE: &str =
    "Package: bash\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: 5.2\\n\\n";
const TWO: &str = "Package: util-linux\\nArchitecture: amd64\\nVersion: 2.38\\n\\n";
const THREE: &str = "Package: curl\\nArchitecture: amd64\\nVersion: 7.88\\n\\n";

fn base() -> LayerBytes {
    layer(&[
        "d usr/bin",
        "l bin usr/bin",
        "x usr/bin/bash BASH",
        "f usr/bin/bashbug #!/bin/sh",
        "f etc/bash.bashrc rc",
        "d usr/share/doc/bash",
        "f usr/share/doc/bash/copyright C",
        "l usr/share/doc/link bash/copyright",
        "s usr/bin/su SU",
        "x usr/bin/more MORE",
        &format!("f var/lib/dpkg/status {ONE}{TWO}"),
        "f var/lib/dpkg/info/bash.list /.\\n/bin\\n/bin/bash\\n/usr\\n/usr/bin\\n/usr/bin/bashbug\\n/etc\\n/etc/bash.bashrc\\n/usr/share/doc/bash\\n/usr/share/doc/bash/copyright\\n",
        "f var/lib/dpkg/info/bash.md5sums 00  bin/bash\\n",
        "f var/lib/dpkg/info/bash.postinst #!/bin/sh",
        "f var/lib/dpkg/info/util-linux.list /.\\n/bin\\n/bin/su\\n/bin/more\\n/usr/bin\\n",
        "f var/lib/dpkg/info/util-linux.md5sums 11  bin/su\\n22  bin/more\\n",
    ])
}

#[test]
fn a_package_goes_whole_and_another_is_pruned() {
    let image = Image::new(&[base()]);
    let hardened = image.harden().unwrap();
    let after = &image.read(&hardened)[0];
    assert_eq!(
        after.lines(),
        [
            "dir 755 usr/bin",
            "777 bin -> usr/bin",
            "755 usr/bin/more",
            "644 var/lib/dpkg/status",
            "644 var/lib/dpkg/info/util-linux.list",
            "644 var/lib/dpkg/info/util-linux.md5sums",
        ]
    );
    assert_eq!(after.content("var/lib/dpkg/status"), TWO.replace("\\n", "\n"));
    assert_eq!(
        after.content("var/lib/dpkg/info/util-linux.list"),
        "/.\n/bin\n/bin/more\n/usr/bin\n"
    );
    assert_eq!(after.content("var/lib/dpkg/info/util-linux.md5sums"), "22  bin/more\n");
    let excluded: Vec<_> = hardened.excluded.iter().map(|p| (&*p.name, &*p.version)).collect();
    assert_eq!(excluded, [("bash", "5.2")]);
}

#[test]
fn every_layer_that_carries_the_database_is_pruned() {
    let middle = layer(&[
        "x usr/bin/curl CURL",
        "f usr/share/doc/curl/copyright C",
        &format!("f var/lib/dpkg/status {ONE}{TWO}{THREE}"),
        &format!("f var/lib/dpkg/status-old {ONE}{TWO}"),
        "f var/lib/dpkg/info/curl.list /usr/bin/curl\\n/usr/share/doc/curl\\n/usr/share/doc/curl/copyright\\n",
    ]);
    // curl is purged again: its bytes are still in the middle layer.
    let upper = layer(&[
        "w usr/bin/.wh.curl",
        "w usr/share/doc/.wh.curl",
        "w var/lib/dpkg/info/.wh.curl.list",
        &format!("f var/lib/dpkg/status {ONE}{TWO}"),
    ]);
    let image = Image::new(&[base(), middle, upper]);
    let hardened = image.harden().unwrap();
    let after = image.read(&hardened);
    assert_eq!(after[1].lines(), ["644 var/lib/dpkg/status", "644 var/lib/dpkg/status-old"]);
    for layer in &after {
        assert_eq!(layer.content("var/lib/dpkg/status"), TWO.replace("\\n", "\n"));
    }
    let excluded: Vec<_> = hardened.excluded.iter().map(|p| &*p.name).collect();
    assert_eq!(excluded, ["bash", "curl"]);
}

#[test]
fn a_kept_program_keeps_its_package() {
    let image = Image::new(&[base()]).keep(&["/bin/bash"]);
    let hardened = image.harden().unwrap();
    assert_eq!(hardened.excluded, []);
    let after = &image.read(&hardened)[0];
    assert!(after.content("var/lib/dpkg/status").contains("Package: bash"));
}

#[test]
fn a_glob_of_the_policy_takes_files_and_no_package() {
    let image = Image::new(&[base()]).keep(&["/**/bash", "/**/su"]).remove(&["/etc/bash.*"]);
    let hardened = image.harden().unwrap();
    assert_eq!(hardened.excluded, []);
    let after = &image.read(&hardened)[0];
    assert!(!after.content("var/lib/dpkg/info/bash.list").contains("bash.bashrc"));
}

#[test]
fn a_netcat_goes_because_all_its_commands_went() {
    let image = Image::new(&[layer(&[
        "x usr/bin/nc.openbsd N",
        "f usr/share/doc/netcat-openbsd/README R",
        "f var/lib/dpkg/status Package: netcat-openbsd\\nArchitecture: amd64\\nVersion: 1\\n\\n",
        "f var/lib/dpkg/info/netcat-openbsd.list /usr/bin/nc.openbsd\\n/usr/share/doc/netcat-openbsd/README\\n",
    ])]);
    let hardened = image.harden().unwrap();
    assert_eq!(hardened.excluded[0].name, "netcat-openbsd");
    assert_eq!(image.read(&hardened)[0].lines(), ["644 var/lib/dpkg/status"]);
}

#[test]
fn alpine_loses_busybox_and_its_links() {
    let image = Image::new(&[layer(&[
        "x bin/busybox BB",
        "l bin/sh /bin/busybox",
        "l bin/ls /bin/busybox",
        "f etc/securetty S",
        "x sbin/apk APK",
        "l usr/bin/wget /bin/busybox",
        "f lib/apk/db/installed P:busybox\\nV:1.36-r0\\nA:x86_64\\nF:bin\\nR:busybox\\nF:etc\\nR:securetty\\n\\nP:busybox-binsh\\nV:1.36-r0\\nA:x86_64\\nF:bin\\nR:sh\\n\\nP:apk-tools\\nV:2\\nA:x86_64\\nF:sbin\\nR:apk\\n\\n",
    ])]);
    let hardened = image.harden().unwrap();
    let after = &image.read(&hardened)[0];
    assert_eq!(after.lines(), ["755 sbin/apk", "644 lib/apk/db/installed"]);
    assert_eq!(
        after.content("lib/apk/db/installed"),
        "P:apk-tools\nV:2\nA:x86_64\nF:sbin\nR:apk\n\n"
    );
    let excluded: Vec<_> = hardened.excluded.iter().map(|p| (&*p.ecosystem, &*p.name)).collect();
    assert_eq!(excluded, [("apk", "busybox"), ("apk", "busybox-binsh")]);
}

#[test]
fn distroless_databases_are_kept_true() {
    let image = Image::new(&[layer(&[
        "x usr/bin/bash B",
        "f usr/share/doc/bash/copyright C",
        "f var/lib/dpkg/status.d/bash Package: bash\\nVersion: 5\\nArchitecture: amd64\\n",
        "f var/lib/dpkg/status.d/bash.md5sums 00  usr/bin/bash\\n11  usr/share/doc/bash/copyright\\n",
        "f var/lib/dpkg/status.d/base Package: base\\nVersion: 1\\nArchitecture: all\\n",
    ])]);
    assert_eq!(image.lines()[0], ["644 var/lib/dpkg/status.d/base"]);
    assert_eq!(image.harden().unwrap().excluded[0].version, "5");
}

#[test]
fn an_rpm_database_is_warned_about() {
    let image = Image::new(&[layer(&["x usr/bin/bash B", "f var/lib/rpm/rpmdb.sqlite DB"])]);
    let last = image.harden().unwrap().findings.pop().unwrap();
    assert_eq!(last.detail, "the rpm database still lists what was removed");
}
