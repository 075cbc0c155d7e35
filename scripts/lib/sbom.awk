# Writes the software bill of materials of a Go program, from `go version -m`,
# in one of the three formats of the buildpacks' specification.
# usage: go version -m PROGRAM | awk -v name=NAME -v format=cdx|spdx|syft -f sbom.awk
$1 == "mod" || $1 == "dep" { module[++count] = $2; version[count] = $3 }
function purl(i) { return "pkg:golang/" module[i] "@" version[i] }
function list(kind,    i, text, separator) {
    for (i = 1; i <= count; i++) {
        text = text separator entry(kind, i)
        separator = ","
    }
    return text
}
function entry(kind, i) {
    if (kind == "cdx")
        return sprintf("{\"type\":\"library\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"%s\"}", module[i], version[i], purl(i))
    if (kind == "spdx")
        return sprintf("{\"SPDXID\":\"SPDXRef-%d\",\"name\":\"%s\",\"versionInfo\":\"%s\",\"downloadLocation\":\"NOASSERTION\"," \
            "\"externalRefs\":[{\"referenceCategory\":\"PACKAGE-MANAGER\",\"referenceType\":\"purl\",\"referenceLocator\":\"%s\"}]}",
            i, module[i], version[i], purl(i))
    return sprintf("{\"id\":\"%d\",\"name\":\"%s\",\"version\":\"%s\",\"type\":\"go-module\",\"purl\":\"%s\"}", i, module[i], version[i], purl(i))
}
END {
    if (format == "cdx")
        printf "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.4\",\"version\":1,\"components\":[%s]}\n", list("cdx")
    else if (format == "spdx")
        printf "{\"spdxVersion\":\"SPDX-2.2\",\"SPDXID\":\"SPDXRef-DOCUMENT\",\"name\":\"%s\",\"dataLicense\":\"CC0-1.0\"," \
            "\"documentNamespace\":\"https://locald.invalid/%s\",\"creationInfo\":{\"created\":\"1980-01-01T00:00:01Z\",\"creators\":[\"Tool: locald scripts/builder\"]}," \
            "\"packages\":[%s]}\n", name, name, list("spdx")
    else
        printf "{\"artifacts\":[%s],\"source\":{\"type\":\"file\",\"target\":\"%s\"},\"schema\":{\"version\":\"3.0.1\"}}\n", list("syft"), name
}
