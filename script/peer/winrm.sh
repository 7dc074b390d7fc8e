#!/bin/sh
# The clients of others, pywinrm and pypsrp, work on the WinRM of the sandbox's
# Windows machines; our own client does the same in tests/it/windows.rs. Two
# builds make the machines: as careful as Windows is, and as most templates
# have it. A shell-local provisioner starts the clients, and an ansible provisioner
# Ansible, which uses pywinrm with what the build knows about the machine.
# Usage: winrm.sh PROGRAM
set -eu
cd "$(dirname "$0")/../.."
. script/lib/install.sh
. script/lib/sandbox.sh
program=$(readlink -f "$1")

need python3 python3
environment=$(readlink -f "${CARGO_TARGET_DIR:-target}")/peer/winrm
if [ ! -x "$environment/bin/ansible-playbook" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check \
        pywinrm==0.5.0 pypsrp==0.9.1 ansible-core==2.16.14
fi
work=$(mktemp -d)
trap 'stop_sandboxes; rm -rf "$work"' EXIT
export ALICLOUD_IMAGE_TIME_SCALE=0.02
start_sandbox "$program" --time-scale $ALICLOUD_IMAGE_TIME_SCALE

# With -I, as the script has the name of a module it imports.
# machine NAME LOGINS USE_SSL USER_DATA: builds an image and lets the clients in.
machine() {
    printf '[powershell]\n%s\n' "$4" > "$work/$1.ps1"
    cat > "$work/$1.json" <<END
{
  "builders": [{
    "type": "alicloud-ecs", "region": "cn-beijing", "image_name": "$1",
    "source_image": "win2022_21H2_x64_dtc_en-us_40G_alibase_20250917.vhd",
    "instance_type": "ecs.g6.large", "user_data_file": "$work/$1.ps1",
    "communicator": "winrm", "winrm_username": "Administrator",
    "winrm_password": "Test1234", "winrm_insecure": $3, "winrm_use_ssl": $3,
    "winrm_use_ntlm": $([ "$2" = ntlm ] && echo true || echo false)
  }],
  "provisioners": [{
    "type": "shell-local",
    "inline": ["'$environment/bin/python' -I script/peer/winrm.py {{ build \`Host\` }} $2"]
  }, {
    "type": "ansible", "playbook_file": "script/peer/files/windows.yml",
    "command": "$environment/bin/ansible-playbook"
  }]
}
END
    "$program" build "$work/$1.json" > "$work/$1.log" 2>&1 || { tail -n 40 "$work/$1.log"; exit 1; }
    grep -o 'ok: [^[][^"]*' "$work/$1.log"
}

machine careful ntlm true "winrm quickconfig -q
winrm create winrm/config/Listener?Address=*+Transport=HTTPS @{Hostname=\"x\"}"
machine usual basic false "winrm quickconfig -q
winrm create winrm/config/Listener?Address=*+Transport=HTTPS @{Hostname=\"x\"}
winrm set winrm/config/service @{AllowUnencrypted=\"true\"}
winrm set winrm/config/service/auth @{Basic=\"true\"}"
