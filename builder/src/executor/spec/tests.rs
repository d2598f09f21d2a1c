use serde_json::{Value, json};

use super::*;
use crate::executor::ResolvedUser;

fn request() -> ExecRequest {
    ExecRequest {
        args: vec!["/bin/sh".into(), "-c".into(), "true".into()],
        env: vec![("A".into(), "b=c".into())],
        secret_env: Vec::new(),
        cwd: "/".into(),
        user: ResolvedUser { uid: 5, gid: 6, groups: vec![7] },
        hostname: "buildhost".into(),
        network: StepNetns::None,
        insecure: false,
        resolv_conf: None,
        hosts: vec![],
        mounts: vec![],
        ulimits: vec![],
        shm_size: None,
    }
}

fn json_of(request: &ExecRequest) -> Value {
    serde_json::to_value(spec(request, vec![], None).unwrap()).unwrap()
}

#[test]
fn the_root_of_a_step_is_the_workers_first_subordinate_id() {
    let spec = json_of(&request());
    let mapping = json!([{"hostID": 1, "containerID": 0, "size": 65536}]);
    assert_eq!(spec["linux"]["uidMappings"], mapping);
    assert_eq!(spec["linux"]["gidMappings"], mapping);
    let kinds: Vec<_> = spec["linux"]["namespaces"].as_array().unwrap().iter().collect();
    for kind in ["user", "mount", "pid", "ipc", "uts", "network"] {
        assert!(kinds.iter().any(|namespace| namespace["type"] == kind), "{kind}");
    }
}

#[test]
fn what_needs_a_cgroup_is_left_out() {
    let spec = json_of(&request());
    assert_eq!(spec["linux"].get("resources"), None);
    assert_eq!(spec["linux"].get("cgroupsPath"), None);
}

#[test]
fn setuid_programs_work_and_capabilities_are_dockers() {
    let process = &json_of(&request())["process"];
    assert_eq!(process["noNewPrivileges"], false);
    assert_eq!(process["capabilities"]["bounding"].as_array().unwrap().len(), 14);
    assert_eq!(process["capabilities"].get("ambient"), None);
    assert_eq!(process["user"], json!({"uid": 5, "gid": 6, "additionalGids": [6, 7]}));
    assert_eq!(process["env"], json!(["A=b=c", format!("PATH={DEFAULT_PATH}")]));
    assert_eq!(process.get("rlimits"), None);
}

#[test]
fn a_network_by_path_binds_the_hosts_sys() {
    let mut wanted = request();
    wanted.network = StepNetns::Path("/proc/1/fd/9".into());
    let spec = json_of(&wanted);
    let sys = |spec: &Value| {
        let mounts = spec["mounts"].as_array().unwrap().clone();
        mounts.into_iter().find(|mount| mount["destination"] == "/sys").unwrap()
    };
    assert_eq!(sys(&spec)["type"], "bind");
    assert!(sys(&spec)["options"].as_array().unwrap().contains(&json!("ro")));
    assert_eq!(spec["linux"].get("sysctl"), None);
    assert_eq!(sys(&json_of(&request()))["type"], "sysfs");
}

#[test]
fn limits_are_named_as_on_the_command_line() {
    let mut wanted = request();
    wanted.ulimits = vec![Ulimit { name: "nofile".into(), soft: 1, hard: 2 }];
    let rlimits = json_of(&wanted)["process"]["rlimits"].clone();
    assert_eq!(rlimits, json!([{"type": "RLIMIT_NOFILE", "hard": 2, "soft": 1}]));
    wanted.ulimits[0].name = "frobs".into();
    assert_eq!(
        spec(&wanted, vec![], None).unwrap_err().to_string(),
        "'frobs' is not a resource limit"
    );
}

#[test]
fn a_request_that_cannot_be_carried_out() {
    let mut wanted = request();
    wanted.args.clear();
    assert_eq!(spec(&wanted, vec![], None).unwrap_err().to_string(), "the step names no program");
    let mut wanted = request();
    wanted.cwd = "a".into();
    let message = spec(&wanted, vec![], None).unwrap_err().to_string();
    assert_eq!(message, "the working directory 'a' is not absolute");
}

#[test]
fn insecure_is_every_capability_and_no_filter() {
    let spec = json_of(&ExecRequest { insecure: true, ..request() });
    assert_eq!(spec["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 41);
    assert_eq!(spec["linux"].get("seccomp"), None);
    assert_eq!(spec["linux"]["maskedPaths"], json!([]));
    // Still not the user, whatever it may do.
    assert_eq!(spec["linux"]["uidMappings"][0]["hostID"], 1);
}

#[test]
fn the_hosts_network_is_no_namespace_of_its_own() {
    let spec = json_of(&ExecRequest { network: StepNetns::Host, ..request() });
    let kinds = spec["linux"]["namespaces"].as_array().unwrap();
    assert!(kinds.iter().all(|namespace| namespace["type"] != "network"));
    let mounts = spec["mounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["destination"] == "/sys" && mount["type"] == "bind"));
}
