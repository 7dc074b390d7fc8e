# What a Windows machine of the sandbox has that PowerShell on Linux lacks: the
# drives, the power, and simulated time.
@DRIVES@Set-Location -LiteralPath '@DIRECTORY@'
function global:Start-Sleep {
    param([double]$Seconds, [double]$Milliseconds)
    $real = ($Seconds * 1000 + $Milliseconds) * @SCALE@
    Microsoft.PowerShell.Utility\Start-Sleep -Milliseconds ([int]$real)
}
# The machine goes down at the end of the script, so the script ends.
function global:Restart-Computer { [System.IO.File]::WriteAllText('@POWER@', 'restart'); exit 0 }
function global:Stop-Computer { [System.IO.File]::WriteAllText('@POWER@', 'off'); exit 0 }
