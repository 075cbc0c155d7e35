# Downloads a URL with Python, and with both stores of Node.
python3 -c 'import sys, urllib.request; print("python:", urllib.request.urlopen(sys.argv[1]).read().decode(), end="")' "$1"
echo "node: $(node fetch.js "$1")"
echo "node with OpenSSL's store: $(node --use-openssl-ca fetch.js "$1")"
