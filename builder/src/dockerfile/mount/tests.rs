use super::*;

fn parse(text: &str) -> Result<MountOptions, String> {
    MountOptions::parse(text, &|value| Ok(value.to_owned())).map_err(|error| error.to_string())
}

#[test]
fn every_key() {
    let cache = parse("type=cache,target=/c,id=x,sharing=locked,ro,mode=0755,uid=1,gid=2").unwrap();
    assert_eq!(
        cache,
        MountOptions {
            kind: MountType::Cache,
            target: Some("/c".into()),
            id: Some("x".into()),
            sharing: Sharing::Locked,
            read_only: true,
            mode: Some(0o755),
            uid: Some(1),
            gid: Some(2),
            ..MountOptions::default()
        }
    );
    let bind = parse("from=build,src=/a,dst=/b").unwrap();
    assert_eq!(
        (bind.kind, bind.read_only, bind.from.as_deref()),
        (MountType::Bind, true, Some("build"))
    );
    assert!(!parse("target=/a,rw").unwrap().read_only);
    assert_eq!(parse("type=tmpfs,target=/t,size=1.5k").unwrap().size, Some(1536));
    assert_eq!(parse("type=tmpfs,target=/t,size=2GiB").unwrap().size, Some(2 << 30));
    let secret = parse("type=secret,id=s,env=TOKEN,required").unwrap();
    assert_eq!((secret.env.as_deref(), secret.required), (Some("TOKEN"), true));
    assert_eq!(parse("\"source=a,b\",target=/x").unwrap().source.as_deref(), Some("a,b"));
}

#[test]
fn faults() {
    for (text, expected) in [
        ("tpye=cache", "--mount: unknown key 'tpye'"),
        ("nope", "--mount: unknown key 'nope'"),
        ("target", "--mount: the key 'target' needs a value"),
        ("type=disk", "--mount: 'disk' is no value of 'type'"),
        ("type=cache,sharing=all", "--mount: 'all' is no value of 'sharing'"),
        ("type=bind,sharing=locked", "--mount: 'sharing' does not go with a bind mount"),
        ("type=cache,mode=+7", "--mount: '+7' is no value of 'mode'"),
        ("target=/a,uid=1", "--mount: 'uid' does not go with a bind mount"),
        ("type=secret", "--mount: a secret needs 'id' or 'target'"),
        ("type=secret,id=a,src=b", "--mount: a secret has either 'id' or 'source'"),
        ("type=secret,id=a,from=b", "--mount: 'from' does not go with a secret mount"),
        ("type=ssh,src=b", "--mount: 'source' does not go with a ssh mount"),
        ("type=tmpfs,size=1x", "--mount: '1x' is no value of 'size'"),
        ("target=/a,ro=x", "--mount: 'x' is no value of 'ro'"),
        ("target=/a,required", "--mount: 'required' does not go with a bind mount"),
        ("target=\"/a\"", "--mount: the quotes of 'target=\"/a\"' do not match"),
        ("", "--mount: unknown key ''"),
    ] {
        assert_eq!(parse(text).err().as_deref(), Some(expected), "{text}");
    }
    assert_eq!(MountOptions::from_of("type=bind,FROM=x,from=$y"), Err(MountError::FromVariable));
    assert_eq!(MountOptions::from_of("from=a,target=$b"), Ok(Some("a".into())));
}
