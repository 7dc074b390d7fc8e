$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$name = '@NAME@'
$log = [System.Environment]::ExpandEnvironmentVariables("%SYSTEMROOT%\Temp\$name.out")
$password = '@PASSWORD@'
if ($password.Length -eq 0) { $password = $null }
try {
  $service = New-Object -ComObject 'Schedule.Service'
  $service.Connect()
  $definition = $service.NewTask(0)
  $definition.XmlText = @'
@TASK@
'@
  $folder = $service.GetFolder('\')
  [void]$folder.RegisterTaskDefinition($name, $definition, 6, '@USER@', $password, @LOGON_TYPE@, $null)
} catch {
  [System.Console]::Error.WriteLine("The task of @USER@ could not be made: " + $_.Exception.Message)
  exit 1
}
$task = $folder.GetTask("\$name")
[void]$task.Run($null)
$reader = $null
$text = ''
# 3 is ready, 4 is running. A short task may be over before it is seen to run.
$waits = 0
while (($task.State -ne 4) -and ($waits -lt 100) -and -not (Test-Path $log)) {
  Start-Sleep -Milliseconds 100
  $waits++
}
do {
  $is_over = $task.State -ne 4 -and $task.State -ne 2
  if (($reader -eq $null) -and (Test-Path $log)) {
    $reader = New-Object System.IO.StreamReader([System.IO.File]::Open($log, 'Open', 'Read', 'ReadWrite'), [System.Text.Encoding]::Default)
  }
  if ($reader -ne $null) {
    $text += $reader.ReadToEnd()
    while (($end = $text.IndexOf("`n")) -ge 0) {
      [System.Console]::Out.WriteLine($text.Substring(0, $end).TrimEnd("`r"))
      $text = $text.Substring($end + 1)
    }
  }
  if (-not $is_over) { Start-Sleep -Milliseconds 100 }
} while (-not $is_over)
if ($text.Length -gt 0) { [System.Console]::Out.WriteLine($text) }
if ($reader -ne $null) { $reader.Close() }
Remove-Item $log -Force -ErrorAction SilentlyContinue
$result = $task.LastTaskResult
[void]$folder.DeleteTask($name, 0)
exit $result
