//! Ansible in the instance: Packer's `ansible-local`.
//!
//! ```text
//! staging directory ── playbooks, inventory, roles, variables, …
//!  └─ ansible-galaxy ── ansible-playbook, once for each playbook
//! ```
//!
//! Differences from Packer: local permissions are kept, so that an inventory
//! may be a program; roles of a requirements file in the old form are found.
//! Not here: Ansible on this machine (`ansible`).

use std::path::Path;

use uuid::Uuid;

use super::environment::shell_word;
use super::galaxy::{self, Contents};
use super::{Context, Show, communicator_of, file, late};
use crate::communicator::{Communicator, ExitStatus};
use crate::error::{Error, Kind, Result};
use crate::plan::provisioner::{AnsibleLocal, Galaxy, Playbook};

/// Where Packer puts its staging directories.
const STAGING: &str = "/tmp/packer-provisioner-ansible-local";

/// Name of the written inventory.
const INVENTORY: &str = "packer-provisioner-ansible-local";

/// What a shell says of a program it does not find.
const NOT_FOUND: u32 = 127;

/// Uploads what Ansible needs and runs the playbooks.
pub(super) async fn run(ansible: &AnsibleLocal, cx: &Context<'_>) -> Result<()> {
    let communicator = communicator_of(cx, "ansible-local")?;
    cx.events.say("Provisioning with Ansible...");
    let staging = ansible.staging_directory.clone();
    let work = Work {
        ansible,
        communicator,
        staging: staging.unwrap_or_else(|| format!("{STAGING}/{}", Uuid::new_v4())),
        cx,
    };
    cx.stop.race(work.run()).await?
}

struct Work<'a> {
    ansible: &'a AnsibleLocal,
    communicator: &'a dyn Communicator,
    staging: String,
    cx: &'a Context<'a>,
}

impl Work<'_> {
    async fn run(&self) -> Result<()> {
        self.upload_playbooks().await?;
        let inventory = self.upload_inventory().await?;
        self.upload_directories().await?;
        let path_variables = self.install_requirements().await?;
        for playbook in &self.ansible.playbooks {
            self.play(playbook, &inventory, &path_variables).await?;
        }
        if self.ansible.clean_staging_directory {
            self.cx.events.message("Removing staging directory...");
            let command = format!("rm -rf {}", shell_word(&self.staging));
            self.execute(&command).await?;
        }
        Ok(())
    }

    async fn upload_playbooks(&self) -> Result<()> {
        match &self.ansible.playbook_dir {
            Some(directory) => self.upload_directory(directory, &self.staging).await?,
            None => self.make_directory(&self.staging).await?,
        }
        for playbook in &self.ansible.playbooks {
            let Some(path) = &playbook.upload else {
                continue;
            };
            let target = self.place(&playbook.place);
            if let Some((parent, _)) = target.rsplit_once('/')
                && parent != self.staging
            {
                self.make_directory(parent).await?;
            }
            self.upload_file(path, &target).await?;
        }
        Ok(())
    }

    /// Gives the inventory's path on the machine.
    async fn upload_inventory(&self) -> Result<String> {
        if let Some(path) = &self.ansible.inventory_file {
            let target = self.place(path.file_name().unwrap_or_default());
            self.upload_file(path, &target).await?;
            return Ok(target);
        }
        let target = self.place(INVENTORY);
        let content = inventory(&self.ansible.inventory_groups);
        let size = content.len() as u64;
        self.communicator
            .upload(&mut content.as_bytes(), size, &target, None)
            .await
            .map_err(|error| error.context("Could not upload the inventory"))?;
        Ok(target)
    }

    async fn upload_directories(&self) -> Result<()> {
        let ansible = self.ansible;
        for (directory, name) in [
            (&ansible.group_vars, "group_vars"),
            (&ansible.host_vars, "host_vars"),
        ] {
            if let Some(directory) = directory {
                self.upload_directory(directory, &self.place(name)).await?;
            }
        }
        for (directories, name) in [
            (&ansible.role_paths, "roles"),
            (&ansible.collection_paths, "collections"),
            (&ansible.playbook_paths, "playbooks"),
        ] {
            for directory in directories {
                let base = directory.file_name().unwrap_or_default();
                let target = self.place(Path::new(name).join(base));
                self.upload_directory(directory, &target).await?;
            }
        }
        Ok(())
    }

    /// Gives the variables that tell Ansible where the roles and collections
    /// are.
    async fn install_requirements(&self) -> Result<String> {
        let mut collections = Vec::new();
        let mut roles = Vec::new();
        if let Some(galaxy) = &self.ansible.galaxy {
            let contents = galaxy::contents(&galaxy.file)?;
            let or_place =
                |path: &Option<String>, place| path.clone().unwrap_or_else(|| self.place(place));
            let roles_path = or_place(&galaxy.roles_path, "roles/galaxy_roles");
            let collections_path =
                or_place(&galaxy.collections_path, "collections/galaxy_collections");
            self.install(galaxy, contents, &roles_path, &collections_path)
                .await?;
            roles.extend(contents.roles.then_some(roles_path));
            collections.extend(contents.collections.then_some(collections_path));
        }
        if !self.ansible.collection_paths.is_empty() {
            collections.push(self.place("collections"));
        }
        Ok(path_variable("ANSIBLE_COLLECTIONS_PATH", &collections)
            + &path_variable("ANSIBLE_ROLES_PATH", &roles))
    }

    async fn install(
        &self,
        galaxy: &Galaxy,
        contents: Contents,
        roles_path: &str,
        collections_path: &str,
    ) -> Result<()> {
        let file = self.place(galaxy.file.file_name().unwrap_or_default());
        self.upload_file(&galaxy.file, &file).await?;
        let mut force = String::new();
        for (is_wanted, option) in [
            (galaxy.force, " -f"),
            (galaxy.force_with_deps, " --force-with-deps"),
        ] {
            force += if is_wanted { option } else { "" };
        }
        for (wanted, verb, path) in [
            (contents.roles, "install", roles_path),
            (contents.collections, "collection install", collections_path),
        ] {
            if wanted {
                let command = format!(
                    "{} {verb} -r {} -p {}{force}",
                    galaxy.command,
                    shell_word(&file),
                    shell_word(path)
                );
                self.execute_staged("Ansible Galaxy", &command).await?;
            }
        }
        Ok(())
    }

    async fn play(&self, playbook: &Playbook, inventory: &str, variables: &str) -> Result<()> {
        let mut arguments = String::new();
        for argument in &self.ansible.extra_arguments {
            let rendered = late::render(argument, &late::Fields::new(), self.cx.data);
            arguments.push(' ');
            arguments +=
                &rendered.map_err(|error| error.context("Could not render `extra_arguments`"))?;
        }
        let command = format!(
            "{variables}{} {} --extra-vars {}{arguments} -c local -i {}",
            self.ansible.command,
            shell_word(&self.place(&playbook.place)),
            shell_word(&extra_vars(self.cx)),
            shell_word(inventory)
        );
        self.execute_staged("Ansible", &command).await
    }

    /// Runs a command in the staging directory and says so.
    async fn execute_staged(&self, what: &str, command: &str) -> Result<()> {
        let command = format!("cd {} && {command}", shell_word(&self.staging));
        self.cx
            .events
            .message(format!("Executing {what}: {command}"));
        self.execute(&command)
            .await
            .map_err(|error| error.context(format!("Error executing {what}")))
    }

    async fn execute(&self, command: &str) -> Result<()> {
        let mut output = Show::new(self.cx.events);
        match self.communicator.exec(command, &mut output).await? {
            ExitStatus::Code(0) => Ok(()),
            ExitStatus::Code(NOT_FOUND) => Err(failed("Exit status 127: a program was not found")
                .with_hint(
                    "The image needs Ansible; install it with a `shell` provisioner before",
                )),
            ExitStatus::Code(code) => Err(failed(&format!("Non-zero exit status: {code}"))),
            ExitStatus::Disconnected => Err(Error::new(
                Kind::Connect,
                "The connection was lost while the command ran",
            )),
        }
    }

    async fn make_directory(&self, path: &str) -> Result<()> {
        self.execute(&format!("mkdir -p {}", shell_word(path)))
            .await
            .map_err(|error| error.context(format!("Could not make the directory {path}")))
    }

    /// Uploads what is in a directory.
    async fn upload_directory(&self, from: &Path, to: &str) -> Result<()> {
        self.make_directory(to).await?;
        self.cx
            .events
            .message(format!("Uploading {} => {to}", from.display()));
        // The slash at the end means its contents.
        let contents = from.join("");
        self.communicator.upload_dir(&contents, to).await
    }

    async fn upload_file(&self, from: &Path, to: &str) -> Result<()> {
        let from = from.to_string_lossy();
        self.cx.events.message(format!("Uploading {from} => {to}"));
        file::upload_file(self.communicator, &from, to)
            .await
            .map_err(|error| error.context(format!("Could not upload {from} to {to}")))
    }

    /// A path below the staging directory.
    fn place(&self, below: impl AsRef<Path>) -> String {
        let staging = self.staging.trim_end_matches('/');
        format!("{staging}/{}", below.as_ref().display())
    }
}

fn failed(message: &str) -> Error {
    Error::new(Kind::Provision, message)
}

/// An inventory with the machine itself.
fn inventory(groups: &[String]) -> String {
    if groups.is_empty() {
        return "127.0.0.1\n".to_owned();
    }
    let sections = groups.iter().map(|group| format!("[{group}]\n127.0.0.1\n"));
    sections.collect()
}

/// What Packer tells every playbook.
fn extra_vars(cx: &Context<'_>) -> String {
    let address = cx.data.values.get("PackerHTTPAddr");
    format!(
        "packer_build_name={:?} packer_builder_type={} packer_http_addr={}",
        cx.data.build_name,
        cx.data.builder_type,
        address.map_or("", String::as_str)
    )
}

/// An assignment that adds to a list of paths, and a space; or nothing.
fn path_variable(name: &str, paths: &[String]) -> String {
    if paths.is_empty() {
        return String::new();
    }
    let paths = shell_word(&paths.join(":"));
    format!("{name}=\"${{{name}:+${name}:}}\"{paths} ")
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Reply, World};
    use super::*;

    #[test]
    fn inventories_have_the_machine_in_each_group() {
        assert_eq!(inventory(&[]), "127.0.0.1\n");
        let groups = ["a".to_owned(), "b".to_owned()];
        assert_eq!(inventory(&groups), "[a]\n127.0.0.1\n[b]\n127.0.0.1\n");
    }

    #[test]
    fn path_variables_keep_what_is_set() {
        assert_eq!(path_variable("P", &[]), "");
        let paths = ["/a".to_owned(), "/b c".to_owned()];
        assert_eq!(path_variable("P", &paths), "P=\"${P:+$P:}\"'/a:/b c' ");
    }

    fn local(directory: &Path) -> AnsibleLocal {
        AnsibleLocal {
            playbooks: vec![
                Playbook {
                    upload: None,
                    place: "site.yml".into(),
                },
                Playbook {
                    upload: Some(directory.join("more.yml")),
                    place: "home/me/more.yml".into(),
                },
            ],
            playbook_dir: Some(directory.to_owned()),
            playbook_paths: vec![],
            role_paths: vec![],
            collection_paths: vec![directory.join("mine")],
            group_vars: None,
            host_vars: None,
            inventory_file: None,
            inventory_groups: vec![],
            extra_arguments: vec!["--tags={{build `ID`}}".into()],
            command: "ansible-playbook".into(),
            staging_directory: Some("/s".into()),
            clean_staging_directory: true,
            galaxy: Some(Galaxy {
                file: directory.join("req.yml"),
                command: "ansible-galaxy".into(),
                force: true,
                force_with_deps: true,
                roles_path: Some("/r".into()),
                collections_path: None,
            }),
        }
    }

    #[tokio::test]
    async fn everything_is_there_before_the_playbooks_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::fs::write(path.join("req.yml"), "roles: []\ncollections: []\n").unwrap();
        std::fs::write(path.join("more.yml"), "[]").unwrap();
        let world = World::new(Fake::default());
        run(&local(path), &world.context()).await.unwrap();
        let from = path.display();
        let variables = "ANSIBLE_COLLECTIONS_PATH=\"${ANSIBLE_COLLECTIONS_PATH:+$ANSIBLE_COLLECTIONS_PATH:}\"\
             '/s/collections/galaxy_collections:/s/collections' \
             ANSIBLE_ROLES_PATH=\"${ANSIBLE_ROLES_PATH:+$ANSIBLE_ROLES_PATH:}\"'/r'";
        let facts = "--extra-vars 'packer_build_name=\"web\" packer_builder_type=alicloud-ecs \
             packer_http_addr=' --tags=i-1 -c local -i '/s/packer-provisioner-ansible-local'";
        let calls = world.calls();
        let calls: Vec<_> = calls
            .iter()
            .map(|call| match call.strip_prefix("upload ") {
                // The rest is the file's mode and content.
                Some(upload) => upload.split(' ').next().unwrap(),
                None => call,
            })
            .collect();
        assert_eq!(
            calls,
            [
                "exec mkdir -p '/s'",
                &format!("upload_dir {from}/ /s"),
                "exec mkdir -p '/s/home/me'",
                "/s/home/me/more.yml",
                "/s/packer-provisioner-ansible-local",
                "exec mkdir -p '/s/collections/mine'",
                &format!("upload_dir {from}/mine/ /s/collections/mine"),
                "/s/req.yml",
                "exec cd '/s' && ansible-galaxy install -r '/s/req.yml' -p '/r' -f --force-with-deps",
                "exec cd '/s' && ansible-galaxy collection install -r '/s/req.yml' \
                 -p '/s/collections/galaxy_collections' -f --force-with-deps",
                &format!("exec cd '/s' && {variables} ansible-playbook '/s/site.yml' {facts}"),
                &format!(
                    "exec cd '/s' && {variables} ansible-playbook '/s/home/me/more.yml' {facts}"
                ),
                "exec rm -rf '/s'",
            ]
        );
    }

    #[tokio::test]
    async fn a_failing_playbook_is_the_last() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("more.yml"), "[]").unwrap();
        let local = AnsibleLocal {
            galaxy: None,
            ..local(directory.path())
        };
        let world = World::new(Fake::default().reply("exec cd '/s'", Reply::Exit(2)));
        let error = run(&local, &world.context()).await.unwrap_err();
        let text = crate::error::one_line(&error);
        assert_eq!(text, "Error executing Ansible: Non-zero exit status: 2");
        let last = world.calls().pop().unwrap();
        assert!(last.contains("/s/site.yml"), "{last}");
    }
}
