use super::*;

fn parsed(change: impl FnOnce(&mut ResultArgs)) -> Result<Outputs, String> {
    let mut args = ResultArgs::default();
    change(&mut args);
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        data_dir: dir.path().into(),
        xdg_runtime_dir: None,
        search_path: Vec::new(),
        docker_config: dir.path().join("config.json"),
        user_file: dir.path().join("config.toml"),
        proxies: touchmark_builder::proxy::Proxies::default(),
    };
    parse(&args, &[Platform::host()], &config).map_err(|error| error.to_string())
}

fn outputs(specs: &[&str], tags: &[&str]) -> Result<Outputs, String> {
    parsed(|args| {
        args.output = specs.iter().map(ToString::to_string).collect();
        args.tag = tags.iter().map(ToString::to_string).collect();
    })
}

fn image(spec: &str) -> ImageOutput {
    outputs(&[spec], &["app"]).unwrap().images.remove(0)
}

#[test]
fn every_type_and_both_short_forms() {
    let file = |path: &str| Sink::File(path.into());
    assert_eq!(image("type=oci,dest=a").target, ImageTarget::Archive(file("a")));
    assert_eq!(image("type=oci,dest=a,tar=false").target, ImageTarget::Layout("a".into()));
    assert_eq!(image("type=docker,dest=a.tar").target, ImageTarget::DockerArchive(file("a.tar")));
    assert_eq!(image("type=image").target, ImageTarget::Kept);
    assert_eq!(image("type=registry").target, ImageTarget::Registry { by_digest: false });
    assert_eq!(
        image("type=image,push=True,push-by-digest=1").target,
        ImageTarget::Registry { by_digest: true }
    );
    let containerd = image("type=containerd,namespace=k8s.io,address=unix:///c.sock").target;
    let socket = PathBuf::from("/c.sock");
    assert_eq!(containerd, ImageTarget::Containerd { socket, namespace: "k8s.io".into() });
    let files = |spec: &str| outputs(&[spec], &[]).unwrap().files.remove(0).target;
    assert_eq!(files("out"), FilesTarget::Directory("out".into()));
    assert_eq!(files("type=local,\"dest=a,b\""), FilesTarget::Directory("a,b".into()));
    assert_eq!(files("type=tar,dest=x.tar"), FilesTarget::Tar(file("x.tar")));
    assert!(outputs(&["type=cacheonly"], &[]).unwrap().cache_only);
    assert!(!outputs(&["out"], &[]).unwrap().wants_image());
}

#[test]
fn push_and_load_join_what_output_asks_for() {
    let push = |specs: &[&str]| {
        let targets = parsed(|args| {
            args.output = specs.iter().map(ToString::to_string).collect();
            args.tag = vec!["app".into()];
            (args.push, args.load) = (true, true);
        });
        targets.unwrap().images.into_iter().map(|image| image.target).collect::<Vec<_>>()
    };
    let is_load = |target: &ImageTarget| matches!(target, ImageTarget::Docker(_));
    let registry = ImageTarget::Registry { by_digest: false };
    let alone = push(&[]);
    assert!(alone.len() == 2 && alone[0] == registry && is_load(&alone[1]), "{alone:?}");
    let beside = push(&["type=image,compression=zstd", "type=docker"]);
    assert!(beside.len() == 2 && beside[0] == registry && is_load(&beside[1]), "{beside:?}");
    let third = push(&["type=docker,dest=x.tar"]);
    assert!(third.len() == 3 && third[1] == registry && is_load(&third[2]), "{third:?}");
}

#[test]
fn forms_are_read_and_told_apart() {
    let found = outputs(
        &[
            "type=oci,dest=a,compression=zstd,compression-level=19",
            "type=image",
            "type=docker,dest=b",
        ],
        &[],
    );
    let forms = found.unwrap().forms();
    assert_eq!(forms.len(), 2, "an image of the usual form is made once: {forms:?}");
    assert_eq!(forms[0].compression, Compression::Zstd { level: 19 });
    let form =
        image("type=oci,dest=a,annotation.A.b=c,force-compression=true,oci-mediatypes=0").form;
    assert_eq!(form.annotations.0[0].key, "A.b");
    assert!(form.force && form.docker_types);
    let names = image("type=registry,\"name=a,b:2\"").names;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["docker.io/library/app", "docker.io/library/a", "docker.io/library/b:2"]);
}

/// Each bad output with its whole message.
const FAULTS: &[(&str, &str)] = &[
    ("type=loca,dest=x", "--output does not know type=loca\nhelp: did you mean type=local?"),
    (
        "type=squashfs,dest=x",
        "--output does not know type=squashfs\n\
             help: the types are image, registry, oci, docker, containerd, local, tar, cacheonly",
    ),
    (
        "type=local",
        "--output type=local needs dest=DIRECTORY\n\
             help: files on standard output are what type=tar,dest=- writes",
    ),
    (
        "type=oci,tar=false",
        "--output type=oci,tar=false needs dest=DIRECTORY\n\
             help: a layout that is no archive is a directory, so it needs a name",
    ),
    ("type=oci,dst=x", "--output type=oci does not know the key 'dst'\nhelp: did you mean dest=?"),
    (
        "type=tar,colour=red",
        "--output type=tar does not know the key 'colour'\n\
             help: its keys are dest, platform-split",
    ),
    (
        "type=oci,dest=x,push=true",
        "--output type=oci has no use for the key 'push'\n\
             help: it belongs to type=image, type=registry",
    ),
    (
        "type=image,unpack=true",
        "--output: 'unpack' is not possible: touchmark keeps no image store of its own that an \
             image could be unpacked in\n\
             help: use --load or type=containerd, which unpacks where the image is run",
    ),
    (
        "type=image,compression=estargz",
        "--output: compression=estargz is not possible: its table of contents stands in the \
             layer, which then has other digests\nhelp: use gzip, zstd or uncompressed",
    ),
    (
        "type=image,compression=gzpi",
        "--output does not know compression=gzpi\nhelp: did you mean gzip?",
    ),
    (
        "type=image,compression-level=12",
        "--output: there is no compression-level '12'\nhelp: it is a number from 0 to 9",
    ),
    (
        "type=oci,dest=x,compression=zstd,oci-mediatypes=false",
        "Docker's media types have none for zstd layers\n\
             help: leave oci-mediatypes=false out, or use compression=gzip",
    ),
    (
        "type=oci,dest",
        "--output: 'dest' is not KEY=VALUE\n\
             help: write for example --output type=oci,dest=image.tar",
    ),
    (
        "dest=out",
        "--output 'dest=out' has no type=\n\
             help: write for example --output type=oci,dest=image.tar",
    ),
    ("type=oci,dest=x,tar=maybe", "--output: tar is 'maybe', not true or false"),
    (
        "type=registry",
        "there is no name to push the image under\n\
             help: give it one: --tag registry.example/team/app:1.0",
    ),
];

#[test]
fn what_is_wrong_is_named_with_its_remedy() {
    for (spec, message) in FAULTS {
        assert_eq!(outputs(&[spec], &[]).unwrap_err(), *message, "{spec}");
    }
    assert_eq!(
        outputs(&["type=registry,push-by-digest=true"], &["app:1"]).unwrap_err(),
        "'docker.io/library/app:1' has a tag, and push-by-digest moves none\n\
         help: name the repository alone, or leave push-by-digest out"
    );
    assert_eq!(
        outputs(&["type=oci,dest=-", "-"], &[]).unwrap_err(),
        "2 outputs want standard output, which can take one\nhelp: give the others a dest=FILE"
    );
    assert_eq!(
        outputs(&["type=oci,dest=x", "type=tar,dest=x"], &[]).unwrap_err(),
        "two outputs go to the same place, x\nhelp: give each of them a dest of its own"
    );
}

#[test]
fn what_needs_an_index_or_one_platform_is_refused_before_anything_runs() {
    let annotated = |text: &str| {
        let fault = parsed(|args| {
            args.output = vec!["type=oci,dest=x".into()];
            args.annotation = vec![text.into()];
        });
        fault.unwrap_err()
    };
    assert_eq!(
        annotated("index:a=b"),
        "the annotation 'a' is for the index, but one platform makes no index\n\
         help: annotate the manifest, or build for several platforms with --platform"
    );
    assert_eq!(
        annotated("manifest[linux/s390x]:a=b"),
        format!(
            "the annotation 'a' is for linux/s390x, which is not built\n\
             help: this build is for {}",
            Platform::host()
        )
    );
    let both: Vec<Platform> =
        ["linux/amd64", "linux/arm64"].map(|text| text.parse().unwrap()).into();
    let outputs = outputs(&["type=docker,dest=x"], &[]).unwrap();
    assert_eq!(
        check_platforms(&outputs, &both).unwrap_err().to_string(),
        "Docker's archive holds one platform, and this build is for several\n\
         help: build for one, or use --output type=oci or --push for all of them"
    );
}
