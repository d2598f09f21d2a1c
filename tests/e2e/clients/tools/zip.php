<?php
// php zip.php ARCHIVE NAME CONTENT …
$archive = new ZipArchive;
$archive->open($argv[1], ZipArchive::CREATE);
for ($at = 2; $at < $argc; $at += 2) {
    $archive->addFromString($argv[$at], $argv[$at + 1] . "\n");
}
$archive->close();
