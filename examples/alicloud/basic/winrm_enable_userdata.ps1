[powershell]
# User data of a Windows instance: lets the builder in by WinRM over HTTP.
#
# Basic authentication over HTTP sends the password readable by everyone on the
# way. Prefer `winrm_use_ntlm`, which needs neither of the two lines below that
# end with "true" and encrypts every message.
cmd.exe /c winrm quickconfig -q
cmd.exe /c winrm set winrm/config/service '@{AllowUnencrypted="true"}'
cmd.exe /c winrm set winrm/config/service/auth '@{Basic="true"}'
cmd.exe /c winrm set winrm/config '@{MaxTimeoutms="1800000"}'
cmd.exe /c winrm set winrm/config/winrs '@{MaxMemoryPerShellMB="1024"}'
cmd.exe /c netsh advfirewall firewall add rule name="WinRM HTTP" dir=in action=allow protocol=TCP localport=5985
cmd.exe /c sc config winrm start= auto
cmd.exe /c net start winrm
