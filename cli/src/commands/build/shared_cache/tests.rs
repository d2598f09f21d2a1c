use touchmark_builder::{layer::Compression, shared_cache::Mounts};

use super::*;

fn from(text: &str) -> String {
    let read = source(text).unwrap();
    format!("{} {:?} {:?}", read.place, read.digest.is_some(), read.mounts)
}

#[test]
fn a_cache_is_read_as_docker_names_it() {
    assert_eq!(from("r.example/app:1"), "r.example/app:1 false None");
    assert_eq!(from("type=registry,ref=r.example/app"), "r.example/app false None");
    assert_eq!(from("type=local,src=/tmp/c"), "/tmp/c false None");
    let digest = format!("sha256:{}", "ab".repeat(32));
    assert_eq!(
        from(&format!("type=local,src=c,digest={digest},mounts=a+b")),
        "c true Named([\"a\", \"b\"])"
    );
}

#[test]
fn a_cache_is_written_as_docker_names_it() {
    let one = target("type=registry,ref=r.example/c:1,mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true").unwrap();
    assert_eq!((one.place.to_string().as_str(), one.mode), ("r.example/c:1", CacheMode::Max));
    assert!(!one.needed && one.compression.is_none() && one.mounts == Mounts::None);
    let one = target(
        "type=local,dest=d,compression=zstd,compression-level=9,ignore-error=false,mounts=all",
    )
    .unwrap();
    assert_eq!(one.compression, Some(Compression::Zstd { level: 9 }));
    assert!(one.needed && one.mode == CacheMode::Min && one.mounts == Mounts::All);
    assert_eq!(target("type=inline").unwrap().place, TargetPlace::Inline);
    assert_eq!(target("r.example/c").unwrap().place.to_string(), "r.example/c");
}

#[test]
fn faults_say_what_to_write() {
    let form =
        "help: write type=registry,ref=NAME[,mode=max], type=local,dest=DIRECTORY or type=inline";
    for (text, said) in [
        ("type=registry", format!("--cache-to 'type=registry': ref= is missing\n{form}")),
        ("mode=max", format!("--cache-to 'mode=max': type= is missing\n{form}")),
        ("type=inline,mode=all", format!("--cache-to 'type=inline,mode=all': mode=all is neither min nor max\n{form}")),
        ("type=gha,scope=x", "--cache-to: type=gha is not there: touchmark speaks to registries only\nhelp: use type=registry, or type=local and upload the directory".into()),
        ("type=loca,dest=x", "--cache-to does not know type=loca\nhelp: the types are type=registry, type=local and type=inline".into()),
        ("type=local,dst=x,dest=y", "--cache-to type=local does not know the key 'dst'\nhelp: did you mean dest=?".into()),
        ("type=inline,compression=estargz", "--cache-to: compression=estargz is not there\nhelp: write gzip, zstd or uncompressed".into()),
    ] {
        assert_eq!(target(text).unwrap_err().to_string(), said);
    }
    assert_eq!(
        source("type=inline").unwrap_err().to_string(),
        "--cache-from: an inline cache is read by the name of its image\nhelp: write --cache-from NAME"
    );
    assert_eq!(
        source("type=s3,bucket=b").unwrap_err().to_string(),
        "--cache-from: type=s3 is not there: touchmark speaks to registries only\nhelp: use type=registry, or download the directory and use type=local"
    );
}
