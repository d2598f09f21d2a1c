use crate::{
    harden::{
        Action, Finding,
        bench::{Image, LayerBytes, layer},
    },
    oci::config::Healthcheck,
};

fn base() -> LayerBytes {
    layer(&[
        "d usr/bin",
        "l bin usr/bin",
        "x usr/bin/dash SHELL",
        "l usr/bin/sh dash",
        "x usr/bin/env ENV",
        "x usr/bin/python3 P",
        "x usr/local/bin/run.sh #!/bin/sh\\necho",
        "x usr/local/bin/run.py #!/usr/bin/env -S python3 -u\\n",
        "x usr/local/bin/bad.py #!/usr/bin/env bash\\n",
        "x usr/bin/bash BASH",
        "x app/server S",
    ])
}

fn fault(image: &Image) -> String {
    image.harden().unwrap_err().to_string()
}

#[test]
fn a_plain_shell_form_becomes_an_exec_form() {
    let image = Image::new(&[base()]).cmd(&["/bin/sh", "-c", "exec /app/server --port 80"]);
    let hardened = image.harden().unwrap();
    let words = ["/app/server", "--port", "80"].map(String::from).to_vec();
    assert_eq!(hardened.config.config.cmd, Some(words));
    let finding = hardened.findings.last().unwrap();
    assert_eq!(
        (&*finding.rule, &*finding.path, finding.action),
        ("H18", "CMD", Action::CommandRewritten)
    );
    assert_eq!(
        finding.detail,
        "the shell form 'exec /app/server --port 80' is now [\"/app/server\", \"--port\", \"80\"]"
    );
}

#[test]
fn a_healthcheck_is_rewritten_too() {
    let mut image = Image::new(&[base()]).cmd(&["/app/server"]);
    image.config.config.healthcheck = Some(Healthcheck {
        test: vec!["CMD-SHELL".into(), "/app/server --check".into()],
        ..Healthcheck::default()
    });
    let check = image.harden().unwrap().config.config.healthcheck.unwrap();
    assert_eq!(check.test, ["CMD", "/app/server", "--check"]);
}

#[test]
fn a_shell_form_that_needs_the_shell_fails_with_both_ways_out() {
    let image = Image::new(&[base()]).entrypoint(&["/bin/sh", "-c", "cd /app && ./server"]);
    assert_eq!(
        fault(&image),
        "ENTRYPOINT cd /app && ./server needs /bin/sh, which hardening removes (H18): it is in \
         shell form and more than a list of words\n\
         help: write ENTRYPOINT in exec form: ENTRYPOINT [\"program\", \"argument\"]\n\
         help: or keep it: [harden] keep = [\"/bin/sh\"]"
    );
    let mut checked = Image::new(&[base()]);
    checked.config.config.healthcheck = Some(Healthcheck {
        test: vec!["CMD-SHELL".into(), "server --check || exit 1".into()],
        ..Healthcheck::default()
    });
    let help = "help: write HEALTHCHECK in exec form: HEALTHCHECK CMD [\"program\", \"argument\"]";
    assert!(fault(&checked).contains(help), "{}", fault(&checked));
    let kept = image.keep(&["/bin/sh"]).harden().unwrap();
    assert_eq!(kept.config.config.entrypoint.unwrap()[0], "/bin/sh");
}

#[test]
fn a_script_without_its_interpreter_fails() {
    let image = Image::new(&[base()]).entrypoint(&["run.sh", "--fast"]);
    assert_eq!(
        fault(&image),
        "ENTRYPOINT [\"run.sh\", \"--fast\"] needs /bin/sh, which hardening removes (H23): \
         '/usr/local/bin/run.sh' is a script that begins with '#!/bin/sh'\n\
         help: let ENTRYPOINT start a program that needs no shell\n\
         help: or keep it: [harden] keep = [\"/bin/sh\"]"
    );
    assert!(image.keep(&["/bin/sh"]).harden().is_ok());
    assert!(Image::new(&[base()]).cmd(&["run.py"]).harden().is_ok());
    let message = fault(&Image::new(&[base()]).cmd(&["bad.py"]));
    assert!(message.contains("needs /usr/bin/bash, which hardening removes (H23)"), "{message}");
}

#[test]
fn an_exec_form_of_a_removed_program_fails() {
    let message = fault(&Image::new(&[base()]).cmd(&["bash"]));
    assert!(
        message.starts_with("CMD [\"bash\"] needs /usr/bin/bash, which hardening removes (H23)"),
        "{message}"
    );
    let arguments = Image::new(&[base()]).entrypoint(&["/app/server"]).cmd(&["bash", "-l"]);
    assert!(fault(&arguments).starts_with("CMD [\"bash\", \"-l\"] needs /usr/bin/bash"));
    let plain = Image::new(&[base()]).entrypoint(&["/app/server"]).cmd(&["--verbose"]);
    assert!(plain.harden().unwrap().findings.iter().all(|found| found.action == Action::Removed));
}

#[test]
fn a_shell_that_the_base_brought_as_cmd_goes_with_the_shell() {
    let mut image = Image::new(&[base()]).cmd(&["bash"]);
    image.options.inherited_cmd = true;
    let hardened = image.harden().unwrap();
    assert_eq!(hardened.config.config.cmd, None);
    let told = |finding: &Finding| finding.path == "CMD" && finding.rule == "H03";
    assert!(hardened.findings.iter().any(told));
    let mut script = Image::new(&[base()]).cmd(&["run.sh"]);
    script.options.inherited_cmd = true;
    assert!(fault(&script).starts_with("CMD [\"run.sh\"] needs /bin/sh"));
}

#[test]
fn wrappers_are_seen_through() {
    let tini = || Image::new(&[base(), layer(&["x usr/bin/tini T"])]);
    let message = fault(&tini().entrypoint(&["tini", "-s", "--", "run.sh"]));
    assert!(message.contains("needs /bin/sh"), "{message}");
    let message = fault(&tini().entrypoint(&["/usr/bin/tini", "--"]).cmd(&["run.sh"]));
    assert!(message.starts_with("CMD [\"run.sh\"] needs /bin/sh"), "{message}");
    assert!(tini().entrypoint(&["tini", "--"]).cmd(&["/app/server"]).harden().is_ok());
}

#[test]
fn a_program_that_was_never_there_is_a_warning() {
    let image = Image::new(&[layer(&["f a 1"])]).cmd(&["/mounted/app"]);
    let finding = image.harden().unwrap().findings.pop().unwrap();
    assert_eq!((finding.action, &*finding.path), (Action::Warned, "CMD"));
    assert_eq!(finding.detail, "'/mounted/app' is not in the image");
}

#[test]
fn libraries_and_the_loader_must_survive() {
    let program = std::fs::read("/proc/self/exe").unwrap();
    let mut writer = crate::layer::emit::ArchiveWriter::new(Vec::new());
    let kind = crate::layer::member::Kind::File;
    let mut member = crate::layer::member::Member::new("app/tool", kind, 0o755);
    member.size = program.len() as u64;
    writer.append(&member, &program[..]).unwrap();
    let lower = LayerBytes(writer.finish().unwrap());
    let multiarch = "usr/lib/odd-linux-gnu";
    let libraries = layer(&[
        "l lib usr/lib",
        "l lib64 usr/lib",
        &format!("d {multiarch}"),
        &format!("f {multiarch}/libc.so.6 C"),
        &format!("f {multiarch}/libgcc_s.so.1 G"),
        &format!("f {multiarch}/libm.so.6 M"),
        "x usr/lib/ld-linux-x86-64.so.2 L",
    ]);
    let image = Image::new(&[lower, libraries]).cmd(&["/app/tool"]);
    assert!(image.harden().is_ok());
    let message = fault(&image.remove(&["/**/libc.so.6"]));
    assert!(
        message.contains("needs /usr/lib/odd-linux-gnu/libc.so.6, which hardening removes (H23)"),
        "{message}"
    );
}
