//! How a build is shown: nothing of a log is lost, objects are as documented, and a terminal ends in order.

use std::{collections::BTreeSet, fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use touchmark_tests::{repository, run::Output};

use crate::scene::Scene;

/// Five megabytes in short lines, one line of 300,000 bytes, bytes that are no text, and no line end.
const LOUD: &str = "FROM busybox\n\
    RUN seq 1 700000 && head -c 300000 /dev/zero | tr '\\0' x && printf '\\n\\377\\nend'\n";

fn loud() -> Vec<u8> {
    let mut text: String = (1..=700_000).map(|number| format!("{number}\n")).collect();
    text.push_str(&"x".repeat(300_000));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"\n\xff\nend");
    bytes
}

/// The objects on standard error; each line is one.
fn objects(output: &Output) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    output.stderr.lines().map(parse).collect()
}

/// The types that docs/progress.md has a section for.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(repository().join("docs/progress.md")).unwrap();
    let titles = text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    titles.map(str::to_owned).collect()
}

#[test]
fn a_log_of_five_megabytes_arrives_to_the_byte() {
    let scene = Scene::new();
    let plain = scene.build_only(LOUD).succeeded();
    let mut text = Vec::new();
    for line in plain.stderr.lines().skip_while(|line| !line.ends_with("/2] 1")) {
        match line.strip_prefix("[stage-0 2/2]").map(|rest| rest.split_at(1)) {
            Some((" ", rest)) => text.extend_from_slice(format!("\n{rest}").as_bytes()),
            Some(("+", rest)) => text.extend_from_slice(rest.as_bytes()),
            _ => break,
        }
    }
    let text = String::from_utf8(text).unwrap();
    let (log, done) = text[1..].rsplit_once('\n').unwrap();
    assert!(done.starts_with("done in "), "{done}");
    let whole = log.replace("\\xff", "\u{fffd}");
    assert!(whole == String::from_utf8_lossy(&loud()), "the log differs in plain");

    let args =
        ["build", "--progress", "rawjson", "--policy", "touchmark.toml", "--no-cache", "ctx"];
    let raw = objects(&scene.home.run(&args).succeeded());
    let mut bytes = Vec::new();
    for object in raw.iter().filter(|object| object["type"] == "log") {
        assert_eq!((&object["stream"], &object["line"]), (&"stdout".into(), &2.into()));
        match object["text"].as_str() {
            Some(text) => bytes.extend_from_slice(text.as_bytes()),
            None => bytes.extend(STANDARD.decode(object["data"].as_str().unwrap()).unwrap()),
        }
    }
    assert!(bytes == loud(), "the log differs in rawjson");
}

#[test]
fn objects_are_as_documented_from_the_plan_to_the_result() {
    let scene = Scene::new();
    scene.home.write("token", "hunter2-abc\n");
    scene.dockerfile(
        "FROM busybox\nWORKDIR /w\n\
         RUN --mount=type=secret,id=t cat /run/secrets/t >&2 && wget -q http://no.example/; true\n",
    );
    let image = scene.registry.image("app:1");
    let first = ["build", "--progress", "rawjson", "--policy", "touchmark.toml"];
    let more = ["--secret", "id=t,src=token", "--no-sign", "--push", "-t", &image, "ctx"];
    let output = scene.home.run(&[&first[..], &more].concat()).succeeded();
    assert!(!output.mentions("hunter2"), "the secret was shown\n{output:?}");
    let objects = objects(&output);
    let kinds: Vec<&str> = objects.iter().filter_map(|object| object["type"].as_str()).collect();
    let known = documented();
    assert_eq!(kinds.iter().find(|kind| !known.contains(**kind)), None, "not documented");
    let wanted = ["plan", "base", "checking", "started", "log", "refused", "finished"];
    let wanted = wanted.iter().chain(&["work-started", "work-finished", "transfer-finished"]);
    for kind in wanted {
        assert!(kinds.contains(kind), "there is no {kind}\n{output:?}");
    }
    let log = objects.iter().find(|object| object["type"] == "log").unwrap();
    // What a step writes one after the other may be read at once.
    assert!(log["text"].as_str().unwrap().starts_with("***\n"), "{log}");
    assert_eq!(log["stream"], "stderr");
    let result = objects.iter().find(|object| object["type"] == "result").unwrap();
    assert_eq!((&result["steps"], &result["pushed"]), (&2.into(), &true.into()));

    scene.dockerfile("FROM busybox\nRUN exit 7\n");
    let failed = scene.home.run(&[&first[..], &["ctx"]].concat()).returned(1);
    let last = self::objects(&failed).pop().unwrap();
    assert_eq!((&last["type"], &last["kind"]), (&"error".into(), &"failed".into()));
    let scene = scene.home.run(&["build", "--progress", "rawjson", "nowhere"]).returned(2);
    assert_eq!(self::objects(&scene).pop().unwrap()["kind"], "usage");
}

#[test]
fn a_terminal_shows_parallel_steps_and_ends_in_order() {
    let scene = Scene::new();
    scene.dockerfile(
        "FROM busybox AS a\nRUN for i in 1 2 3 4 5 6 7 8; do echo tick $i; sleep 0.2; done; touch /a\n\
         FROM busybox AS b\nRUN printf '\\033[2J\\033[31mred\\n'; sleep 1.6; touch /b\n\
         FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
    );
    let line = "stty cols 90 rows 24 && exec \"$0\" build --jobs 2 --policy touchmark.toml ctx";
    let program = scene.home.touchmark(&[]).get_program().to_string_lossy().into_owned();
    let mut command = scene.home.command("script");
    command.args(["-qefc", &line.replace("$0", &program), "/dev/null"]);
    command.env("TERM", "xterm-256color");
    let output = scene.home.finish(command).succeeded();

    let mut terminal = vt100::Parser::new(24, 90, 0);
    let mut seen = BTreeSet::new();
    // The screen is looked at after each line that is drawn.
    for frame in output.stdout.split_inclusive('\n') {
        terminal.process(frame.as_bytes());
        let screen = terminal.screen().contents();
        let both = screen.contains(" => [a 2/2] RUN") && screen.contains(" => [b 2/2] RUN");
        seen.extend((both && screen.contains("    | tick 3")).then_some("both steps with a log"));
        seen.extend(screen.contains("    | red").then_some("the other log"));
        seen.extend(screen.contains("of 4 steps done").then_some("the state of the whole"));
    }
    assert_eq!(seen.len(), 3, "only {seen:?}\n{output:?}");
    let screen = terminal.screen();
    let text = screen.contents();
    assert!(!screen.hide_cursor(), "the cursor did not come back\n{text}");
    assert!(text.contains("=> built in ") && !text.contains("building "), "{text}");
    assert!(text.contains("=> image sha256:") && !text.contains("| tick"), "{text}");
}

#[test]
fn the_environment_chooses_the_style_and_a_cancelled_build_leaves_the_terminal_in_order() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo out loud && exit 3\n");
    let build = |style: &str| {
        let args = ["build", "--policy", "touchmark.toml", "ctx"];
        let mut command = scene.home.touchmark(&args);
        command.env("BUILDKIT_PROGRESS", style);
        scene.home.finish(command)
    };
    let quiet = build("quiet").returned(1);
    assert!(quiet.stderr.starts_with("[stage-0 2/2] out loud\nerror: RUN ended"), "{quiet:?}");
    let _ = build("loud").returned(2).says("the progress style 'loud' is not known");
    let _ = build("tty").returned(2).says("'tty' needs a terminal");

    scene.dockerfile("FROM busybox\nRUN echo begun && sleep 60\n");
    let program = scene.home.touchmark(&[]).get_program().to_string_lossy().into_owned();
    let mut command = scene.home.command("script");
    let line = format!(
        "{program} build --policy touchmark.toml ctx & until [ -e ctx/stop ]; do sleep 0.1; done; \
         kill -TERM $!; wait $!"
    );
    command.args(["-qefc", &line, "/dev/null"]);
    let mut running = touchmark_tests::run::start(command);
    let limit = Duration::from_secs(60);
    running.until(limit, |output| output.stdout.contains("\u{1b}[0mbegun").then_some(()));
    scene.home.write("ctx/stop", "");
    let output = running.wait(limit);
    let mut terminal = vt100::Parser::new(24, 80, 0);
    terminal.process(output.stdout.as_bytes());
    let text = terminal.screen().contents();
    assert!(output.code == 130 && !terminal.screen().hide_cursor(), "{output:?}");
    assert!(text.contains("cancelled") && text.contains("error: interrupted"), "{text}");
}
