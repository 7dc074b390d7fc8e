data_disks = [
  { name = "data", size = 40 },
  { name = "logs", size = 20 },
]
