# Two images of one source: the name of the second `source` block tells them
# apart, and `override` says what differs.

build {
  name = "fleet"

  source "alicloud-ecs.node" {
    name       = "web"
    image_name = "web-${var.release}"
  }

  source "alicloud-ecs.node" {
    name       = "worker"
    image_name = "worker-${var.release}"
  }

  provisioner "file" {
    content     = local.motd
    destination = "/etc/motd"
  }

  provisioner "shell" {
    env = {
      TOKEN = var.registry_token
      ROLE  = source.name
    }
    inline = [
      "echo \"installing the $ROLE with $TOKEN on ${build.Host}\"",
      "cat /etc/motd",
    ]

    override = {
      worker = {
        inline = ["echo \"the worker brings its own\""]
      }
    }
  }

  post-processor "manifest" {
    output = "fleet-manifest.json"
    custom_data = {
      release = var.release
      disks   = length(var.data_disks)
    }
  }
}
