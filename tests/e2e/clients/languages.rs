//! Clients whose registries are stood in for: the files are real, made by the ecosystems' own programs.

use super::client::Client;

/// Hosts of the stand-ins.
pub(super) const HOSTS: [&str; 4] =
    ["go.example", "maven.example", "gems.example", "composer.example"];

/// A project for Maven: an extension is fetched with its description before anything else happens.
const MAVEN: &str = "echo '<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId>\
<version>1</version><packaging>pom</packaging><build><extensions><extension><groupId>org.example</groupId>\
<artifactId>tool</artifactId><version>1.0</version></extension></extensions></build></project>' > pom.xml \
&& echo '<settings><mirrors><mirror><id>m</id><mirrorOf>*</mirrorOf><url>https://maven.example/maven2</url></mirror>\
</mirrors></settings>' > settings.xml && mvn -B -q -s settings.xml -Dmaven.repo.local=$PWD/m2 validate";

pub(super) const LANGUAGES: [Client; 4] = [
    Client {
        name: "go",
        title: "go",
        run: "printf 'module app\\n\\ngo 1.19\\n\\nrequire mod.example/hello v1.0.0\\n' > go.mod \
              && GOPROXY=https://go.example GONOSUMDB=* GOPATH=$PWD/go GOFLAGS=-modcacherw GOROOT=/opt/go /opt/go/bin/go mod download",
        bare: "",
        fetches: "pkg:golang/mod.example/hello@v1.0.0",
    },
    Client {
        name: "maven",
        title: "maven",
        run: MAVEN,
        bare: "Java has a list of its own; keep `JAVA_TOOL_OPTIONS`",
        fetches: "pkg:maven/org.example/tool@1.0",
    },
    Client {
        name: "gem",
        title: "gem",
        run: "gem install --clear-sources --source https://gems.example/ --install-dir ./gems --no-document hello",
        bare: "",
        fetches: "pkg:gem/hello@1.0.0",
    },
    Client {
        name: "composer",
        title: "composer",
        run: "echo '{\"repositories\": [{\"type\": \"composer\", \"url\": \"https://composer.example\"}, {\"packagist\": false}], \
              \"require\": {\"acme/hello\": \"1.0.0\"}}' > composer.json && COMPOSER_HOME=$PWD/home composer install --no-cache --no-interaction",
        bare: "",
        fetches: "https://composer.example/hello.zip",
    },
];

/// What Maven wants beside every extension that does not name it.
pub(super) fn beside(files: &[(String, Vec<u8>)]) -> [(String, Vec<u8>); 2] {
    const PLACE: &str =
        "/maven.example/maven2/org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1";
    let (_, jar) = files.iter().find(|(path, _)| path.ends_with("/tool-1.0.jar")).unwrap();
    let pom = "<project><modelVersion>4.0.0</modelVersion><groupId>org.codehaus.plexus</groupId>\
               <artifactId>plexus-utils</artifactId><version>1.1</version></project>";
    [(format!("{PLACE}.jar"), jar.clone()), (format!("{PLACE}.pom"), pom.into())]
}
