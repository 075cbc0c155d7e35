//! Tests of the services in `locald.toml`.

use super::*;

#[test]
fn services_are_read_in_all_their_forms() {
    let text = r#"
[build]
builder = "project/builder"
env = { LEVEL = "project" }
[services.web]
command = "npm start"
port = 3000
build = { builder = "heroku/builder:24", buildpacks = ["heroku/nodejs"] }
depends_on = ["api", "cache"]
health_check = "/health"
stop_signal = "SIGINT"
env = { MODE = "dev" }
[services.api.build]
[services.cache]
image = "redis:7"
port = 6379
health_check = { command = ["redis-cli", "ping"], interval = "1s", timeout = "2m" }
[services.mail]
type = "worker"
workdir = "mail"
"#;
    let settings = settings(text, "", "").unwrap();
    insta::assert_debug_snapshot!(settings.services());
    let Origin::Source {
        build: Some(table), ..
    } = &settings.services()["web"].origin
    else {
        unreachable!("web has a build of its own")
    };
    let folder = tempfile::tempdir().unwrap();
    let own = settings.of_service(table, folder.path(), "shop-web".to_owned());
    let resolved = build(&own.unwrap(), &[]);
    assert_eq!(resolved.builder, "heroku/builder:24");
    assert_eq!(resolved.names, ["shop-web"]);
    assert_eq!(resolved.env[0].value, "project");
}

#[test]
fn wrong_services_are_told_where_and_what() {
    let wrong = [
        "[services.web]\nprot = 80",
        "[services.web]\nbuild = { buidler = \"x\" }",
        "[services.web.health_check]\ncomand = \"x\"",
        "[services.web]\nbuild = \"yes\"",
        "[services.web]\nbuild = false",
        "[services.web]\ncommand = 1",
        "[services.web]\ncommand = []",
        "[services.\"my web\"]",
        "[services.web]\nport = 70000",
        "[services.web]\nport = 0",
        "[services.api]\nport = 80\n[services.web]\ncommand = \"x\"\nport = 80",
        "[services.web]\ntype = \"worker\"\nport = 80",
        "[services.db]\ntype = \"postgres\"",
        "[services.docs]\ntype = \"site\"",
        "[services.web]\ntype = \"exce\"",
        "[services.web]\ntype = \"container\"",
        "[services.web]\nimage = \"x\"\nbuild = true",
        "[services.web]\nimage = \"x\"\nworkdir = \"y\"",
        "[services.web]\ndepends_on = [\n  \"web2\",\n  \"cache\",\n]\n[services.web2]",
        "[services.a]\ndepends_on = [\"b\"]\n[services.b]\ndepends_on = [\"a\"]",
        "[services.web]\ndepends_on = [\"web\"]",
        "[services.web]\nport = 80\nhealth_check = \"health\"",
        "[services.web]\nhealth_check = \"/health\"",
        "[services.web]\nhealth_check = \"tcp\"",
        "[services.web]\nport = 80\nhealth_check = { http = \"/\", command = \"x\" }",
        "[services.web]\nhealth_check = { timeout = \"soon\" }",
        "[services.web]\nhealth_check = { interval = \"0s\" }",
        "[services.web]\nstop_signal = \"STOP\"",
        "[services.web]\nenv = { \"A=B\" = \"x\" }",
        "[services.web]\nenv = { A = 1 }",
    ];
    let told = wrong.map(|text| told(settings(text, "", "").unwrap_err()));
    insta::assert_snapshot!(told.join("\n"));
}
