//! The clients that are tried, each as a Dockerfile would run it.

/// One row of the table.
pub(super) struct Client {
    /// What the table calls it, and its stage in lower case.
    pub(super) name: &'static str,
    /// What the table calls it.
    pub(super) title: &'static str,
    /// The commands, as a user writes them, in an empty directory.
    pub(super) run: &'static str,
    /// Why it fails with an empty environment, and what to do; nothing where it works.
    pub(super) bare: &'static str,
    /// How the package URL of what it fetches begins; for clients without packages, its address.
    pub(super) fetches: &'static str,
}

const CERTIFI: &str = "brings a list of its own; keep the variables";
const NODE: &str = "Node's list is built in; keep `NODE_EXTRA_CA_CERTS`";

/// What is told by a variable which file is trusted, or reads the system's.
pub(super) const CLIENTS: [Client; 17] = [
    Client {
        name: "apt",
        title: "apt, http",
        run: "apt-get update && apt-get install -y --reinstall hello",
        bare: "",
        fetches: "pkg:deb/debian/hello@",
    },
    Client {
        name: "apt-https",
        title: "apt, https",
        run: "sed -i s,http:,https:, /etc/apt/sources.list && apt-get update && apt-get install -y --reinstall sl",
        bare: "",
        fetches: "pkg:deb/debian/sl@",
    },
    Client {
        name: "curl",
        title: "curl",
        run: "curl -fsSo curl https://files.example/curl",
        bare: "",
        fetches: "https://files.example/curl",
    },
    Client {
        name: "wget",
        title: "wget",
        run: "wget -q https://files.example/wget",
        bare: "",
        fetches: "https://files.example/wget",
    },
    Client {
        name: "git",
        title: "git over https",
        run: "git clone -q https://git.example/team/app.git && test -f app/file",
        bare: "",
        fetches: "https://git.example/team/app.git/git-upload-pack",
    },
    Client {
        name: "pip-debian",
        title: "pip, Debian's 23.0.1",
        run: "pip install --break-system-packages --force-reinstall --no-cache-dir iniconfig==2.0.0",
        bare: "",
        fetches: "pkg:pypi/iniconfig@2.0.0",
    },
    Client {
        name: "pip-old",
        title: "pip 22.3.1 with certifi",
        run: "/opt/old/bin/pip install --force-reinstall --no-cache-dir toml==0.10.2",
        bare: CERTIFI,
        fetches: "pkg:pypi/toml@0.10.2",
    },
    Client {
        name: "pip-new",
        title: "pip, the newest",
        run: "/opt/new/bin/pip install --force-reinstall --no-cache-dir six==1.16.0",
        bare: "",
        fetches: "pkg:pypi/six@1.16.0",
    },
    Client {
        name: "uv",
        title: "uv",
        run: "uv venv -q && uv pip install --no-cache zipp==3.21.0",
        bare: "brings a list of its own; keep `SSL_CERT_FILE`, or set `UV_SYSTEM_CERTS=true`",
        fetches: "pkg:pypi/zipp@3.21.0",
    },
    Client {
        name: "requests",
        title: "requests",
        run: "/opt/new/bin/python -c \"import requests; requests.get('https://files.example/requests').raise_for_status()\"",
        bare: CERTIFI,
        fetches: "https://files.example/requests",
    },
    Client {
        name: "npm",
        title: "npm",
        run: "npm install --cache ./cache ms@2.1.3",
        bare: NODE,
        fetches: "pkg:npm/ms@2.1.3",
    },
    Client {
        name: "pnpm",
        title: "pnpm 10",
        run: "echo '{}' > package.json && /opt/pnpm/bin/pnpm add --store-dir ./store depd@2.0.0",
        bare: NODE,
        fetches: "pkg:npm/depd@2.0.0",
    },
    Client {
        name: "yarn-1",
        title: "yarn 1.22",
        run: "echo '{}' > package.json && /opt/yarn1/bin/yarn add --cache-folder ./cache inherits@2.0.4",
        bare: NODE,
        fetches: "pkg:npm/inherits@2.0.4",
    },
    Client {
        name: "yarn-4",
        title: "yarn 4",
        run: "echo '{}' > package.json && YARN_GLOBAL_FOLDER=$PWD/global /opt/yarn4/bin/yarn add ee-first@1.1.1",
        bare: NODE,
        fetches: "pkg:npm/ee-first@1.1.1",
    },
    Client {
        name: "node-fetch",
        title: "Node's fetch",
        run: "node -e \"fetch('https://files.example/node').then(a => a.text())\"",
        bare: NODE,
        fetches: "https://files.example/node",
    },
    Client {
        name: "cargo",
        title: "cargo",
        run: "mkdir src && touch src/lib.rs && export CARGO_HOME=$PWD/home \
              && printf '[package]\\nname = \"app\"\\nversion = \"0.1.0\"\\n[dependencies]\\nitoa = \"=1.0.11\"\\n' > Cargo.toml && cargo vendor",
        bare: "",
        fetches: "pkg:cargo/itoa@1.0.11",
    },
    Client {
        name: "openssl",
        title: "OpenSSL, Python's `ssl`",
        run: "python3 -c \"import urllib.request; urllib.request.urlopen('https://files.example/urllib').read()\"",
        bare: "",
        fetches: "https://files.example/urllib",
    },
];
