//! `RUN --mount=type=ssh` and `--ssh`: a step may list and sign, and gets nothing else.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    sync::mpsc,
    thread,
};

use touchmark_tests::{base, home::Home, repository};

use crate::scene::Scene;

/// Asks the agent for each of the given messages (in hex) and prints the type of the answer.
const CLIENT: &str = r#"use IO::Socket::UNIX;
for (@ARGV) {
    my $agent = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die "no agent: $!\n";
    my $message = pack("H*", $_);
    print $agent pack("N", length $message), $message;
    $agent->flush;
    read($agent, my $length, 4) == 4 or die "no answer\n";
    read($agent, my $answer, unpack("N", $length));
    printf "answer %d of %d bytes\n", ord($answer), length $answer;
}
"#;

/// An agent that answers every message with an empty list, and tells which types it was asked for.
fn agent(home: &Home) -> (String, mpsc::Receiver<u8>) {
    let path = home.path("agent");
    let listener = UnixListener::bind(&path).unwrap();
    home.give(&path, 0o600);
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut length = [0; 4];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut message = vec![0; u32::from_be_bytes(length) as usize];
            let _ = stream.read_exact(&mut message);
            let _ = sender.send(message[0]);
            let _ = stream.write_all(&[0, 0, 0, 5, 12, 0, 0, 0, 0]);
        }
    });
    (path.display().to_string(), asked)
}

#[test]
fn a_step_lists_and_signs_and_gets_nothing_else() {
    let scene = Scene { home: Home::new(), registry: base::registry() };
    scene.home.policy(&scene.registry, "");
    let fixtures = repository().join("builder/src/ssh/key/fixtures");
    let key = std::fs::read_to_string(fixtures.join("ed25519-256")).unwrap();
    scene.home.write("id_ed25519", &key);
    let (socket, asked) = agent(&scene.home);
    scene.home.write("ctx/client.pl", CLIENT);
    // Sign `data` with the key of the fixture.
    let blob = "0000000b7373682d656432353531390000002099e23c01eef375cc80079fe614bfe0da32e24bea0dcd24260f9cfd3557b7622a";
    let sign = format!("0d00000033{blob}000000046461746100000000");
    scene.dockerfile(&format!(
        "FROM debian:bookworm\n\
         COPY client.pl /\n\
         RUN --mount=type=ssh,mode=0666,uid=7 stat -c '%a %u %F' $SSH_AUTH_SOCK && perl client.pl 0b 11 13 16\n\
         RUN --mount=type=ssh,id=key,required perl client.pl 0b {sign} 12\n\
         RUN --mount=type=ssh,id=absent test $SSH_AUTH_SOCK = /run/buildkit/ssh_agent.0 && ! test -e /run/buildkit\n"
    ));
    let built = scene
        .build(&["--ssh", &format!("default={socket}"), "--ssh", "key=id_ed25519"])
        .succeeded();
    assert!(built.mentions("3/5] 666 7 socket"), "{built:?}");
    assert!(built.mentions("3/5] answer 12 of 5 bytes"), "{built:?}");
    assert!(built.mentions("4/5] answer 12 of"), "{built:?}");
    assert!(built.mentions("4/5] answer 14 of 88 bytes"), "{built:?}");
    assert_eq!(built.stderr.matches("answer 5 of 1 bytes").count(), 4, "{built:?}");
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [11], "the user's agent was asked for more");
    let line = key.lines().nth(2).unwrap();
    assert!(!built.mentions(line));
    crate::mounts::nowhere_in_the_data(&scene, line);
}

#[test]
fn an_agent_or_key_that_is_not_there_is_told_with_its_remedy() {
    let scene = Scene::new();
    let _ = scene
        .build_only("FROM busybox\nRUN --mount=type=ssh,required true\n")
        .returned(1)
        .says("error: the SSH agent 'default' was not given")
        .says("2 | RUN --mount=type=ssh,required true")
        .says(
            "help: give it: --ssh default for the one at SSH_AUTH_SOCK, or --ssh default=KEYFILE",
        );
    let fixtures = repository().join("builder/src/ssh/key/fixtures");
    scene.home.write("locked", std::fs::read(fixtures.join("encrypted")).unwrap());
    let _ = scene
        .build(&["--ssh", "default=locked"])
        .returned(2)
        .says("error: --ssh: 'default' cannot use locked: the key is encrypted")
        .says("help: load it into an agent with ssh-add");
    let _ = scene.build(&["--ssh", "default"]).returned(2).says("SSH_AUTH_SOCK is not set");
}
