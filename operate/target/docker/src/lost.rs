//! What of a container would be lost if it were replaced and put back: whoever has such a container is told before anything is touched. All
//! else of its record is kept and compared whole (capabilities, devices, mounts, limits, networks with aliases and addresses, logs, …).

use serde_json::Value;

/// A phrase for each, in a person's words; empty when nothing would be lost.
pub fn lost(record: &Value) -> Vec<String> {
    let host = &record["HostConfig"];
    let mut lost = Vec::new();
    if host["AutoRemove"] == true {
        lost.push("it was made with --rm, and is removed by the engine as soon as it stops".to_owned());
    }
    for mount in record["Mounts"].as_array().into_iter().flatten() {
        let name = mount["Name"].as_str().unwrap_or_default();
        let invented = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if mount["Type"] == "volume" && invented {
            let path = mount["Destination"].as_str().unwrap_or_default();
            lost.push(format!("what is in {path} is in a volume without a name, and goes with the container"));
        }
    }
    if host["Links"].as_array().is_some_and(|links| !links.is_empty()) {
        lost.push("it has links (--link), which the engine makes for its first start only".to_owned());
    }
    if record["State"]["Paused"] == true {
        lost.push("it is paused, and would run when it is put back".to_owned());
    }
    if record["Config"]["Labels"]["com.docker.swarm.service.id"].is_string() {
        lost.push("it belongs to a swarm service, which makes another in its place".to_owned());
    }
    lost
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(record: Value, expect: &[&str]) {
        let found = lost(&record);
        assert_eq!(found.len(), expect.len(), "{found:?}");
        assert!(found.iter().zip(expect).all(|(found, expect)| found.contains(expect)), "{found:?}, not {expect:?}");
    }

    #[test]
    fn what_cannot_be_put_back_is_named() {
        let named = json!({"Type": "volume", "Name": "data", "Destination": "/data"});
        let odd = json!({"CapAdd": ["NET_ADMIN"], "Privileged": true, "Links": null, "AutoRemove": false});
        check(json!({"HostConfig": odd, "Mounts": [named, {"Type": "bind", "Source": "/x"}]}), &[]);
        check(json!({"HostConfig": {"AutoRemove": true}}), &["--rm"]);
        check(json!({"HostConfig": {"Links": ["/db:/web/db"]}}), &["--link"]);
        check(json!({"State": {"Paused": true}}), &["paused"]);
        let unnamed = json!({"Type": "volume", "Name": "0123456789abcdef".repeat(4), "Destination": "/var/lib/x"});
        check(json!({"Mounts": [unnamed]}), &["/var/lib/x"]);
        check(json!({"Config": {"Labels": {"com.docker.swarm.service.id": "x"}}}), &["swarm"]);
        check(json!(null), &[]);
    }
}
