"""Forms in which a URL or a resolver may lead to a place that is not public.

``URLS`` are addresses as a model or a page may write them; ``{port}`` is where a listener of
the test waits. ``RESOLVED`` are answers of a resolver for the name of a public host.
"""

from __future__ import annotations

# Ways to write 127.0.0.1, 0.0.0.0, ::1 and the metadata service as a host.
_HOSTS = (
    # plain
    *("127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.0.0.1"),
    # fewer parts
    *("127.1", "127.0.1", "127.0", "127", "0", "1", "0.0", "0.0.0", "10.1", "192.168.1"),
    # one number: decimal, hexadecimal, octal
    *("2130706433", "4294967295", "2852039166", "3232235521", "02130706433", "4294967297"),
    *("0x7f000001", "0X7F000001", "0x7f.1", "0x7f.0.0.1", "0x7f.0x0.0x0.0x1", "0x0", "0x"),
    *("0x100000000", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "0x00000007f.0.0.1", "127.0.0.0x1"),
    *("017700000001", "0177.1", "0177.0.0.1", "0177.0.0.01", "00000177.0.0.1", "0177.0x0.1"),
    *("0251.0376.0251.0376", "025177524776", "127.0.0.01", "127.0.0.001", "127.000.000.001"),
    # too many parts, empty parts, dots around
    *("127.0.0.1.", "127.0.0.1..", ".127.0.0.1", "127..0.0.1", "127.0.0.1.1", "127.0.0.256"),
    # names that resolvers answer by themselves
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "ip6-localhost", "localhost.local"),
    *("localhost.localdomain", "localhost6", "broadcasthost", "host.docker.internal"),
    *("metadata.google.internal", "instance-data", "router.lan", "printer.local", "www.corp"),
    *("gateway.home.arpa", "intranet", "site.intranet", "hidden.onion", "kubernetes"),
    # metadata services
    *("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    # private and special
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1"),
    *("100.127.255.255", "169.254.0.1", "198.18.0.1", "198.19.255.255", "192.0.2.1"),
    *("198.51.100.7", "203.0.113.9", "192.88.99.1", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.255", "192.0.0.1"),
    # IPv6
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::0.0.0.1]", "[::127.0.0.1]"),
    *("[::7f00:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:169.254.169.254]"),
    *("[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:7f00:1::1]"),
    *("[2002:a9fe:a9fe::1]", "[2002:c0a8:1::1]", "[2001::7f00:1]", "[2001:0:4136:e378::1]"),
    *("[2001:0:7f00:1:0:0:80ff:fffe]", "[2001:db8::1]", "[3fff::1]", "[2001:10::1]"),
    *("[2001:20::1]", "[2001:2::1]", "[100::1]", "[fc00::1]", "[fd00:ec2::254]", "[fd12::1]"),
    *("[fe80::1]", "[fe80::1%25lo]", "[fe80::1%lo]", "[fec0::1]", "[ff02::1]", "[ff0e::1]"),
    *("[5f00::1]", "[4000::1]", "[::1%25lo]", "[::1%lo]", "[2a00:1::5efe:7f00:1]"),
    *("[2a00:1::200:5efe:10.0.0.1]", "[v1.::1]", "[127.0.0.1]", "[::1", "::1]", "[]", "[::g]"),
    # letters that are folded into digits and dots by some readers
    *("１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "lоcalhost"),
    # percent signs in a host
    *("%31%32%37.0.0.1", "127%2e0%2e0%2e1", "%6c%6f%63%61lhost", "127.0.0.1%00", "%5b::1%5d"),
)

# Whole URLs: other schemes, credentials, and what parsers disagree about.
_WHOLE = (
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "dict://127.0.0.1:{port}/info",
    "ldap://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "jar:http://127.0.0.1:{port}/!/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "//127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "http://",
    "http://:{port}/",
    "http://?127.0.0.1:{port}",
    "http://#127.0.0.1:{port}",
    "127.0.0.1:{port}",
    "http://example.org@127.0.0.1:{port}/",
    "http://example.org:80@127.0.0.1:{port}/",
    "http://user:word@127.0.0.1:{port}/",
    "http://@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@example.org/",
    "http://example.org%40127.0.0.1:{port}/",
    "http://example.org\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.org/",
    "http://127.0.0.1:{port}\\.example.org/",
    "http://127.0.0.1:{port}#@example.org/",
    "http://127.0.0.1:{port}?@example.org/",
    "http://127.0.0.1:{port};@example.org/",
    "http://example.org;127.0.0.1:{port}/",
    "http://example.org,127.0.0.1:{port}/",
    "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:80:{port}/",
    "http://127.0.0.1:+{port}/",
    "http://127.0.0.1:{port} /",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\n:{port}/",
    "ht\ttp://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/\r\nHost: example.org",
    "http://example.org/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
    "http://exa\x00mple.org:{port}/",
    "http://127.0.0.1\u200b:{port}/",
    "http://127.0.0.1:{port}/\ud83d\ude00",
    "http://[::1]:{port}@example.org/",
    "http://[::1].example.org:{port}/",
    "http://example.org[::1]:{port}/",
    "http://[::ffff:127.0.0.1].:{port}/",
    "http://example.org:22/",
    "http://example.org:6379/",
    "http://example.org:0/",
    "http://example.org:65536/",
    "http://example.org:-1/",
    "http://example.org:/",
    "http://example.org:{port}1/",
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "hTTps://LOCALHOST:{port}/",
    "http://" + "a" * 70 + ".org:{port}/",
    "http://" + "a." * 130 + "org:{port}/",
    "http://example.org/" + "a" * 3000,
    "http://-example.org:{port}/",
    "http://exam_ple..org:{port}/",
    "http://*:{port}/",
    "http://*.example.org:{port}/",
    "http://{{127.0.0.1}}:{port}/",
    "http://127.0.0.1\u2044:{port}/",
    "http://127.0.0.1\uff0f@example.org:{port}/",
)

URLS: tuple[str, ...] = (*(f"http://{host}:{{port}}/" for host in _HOSTS), *_WHOLE)

RESOLVED: tuple[str, ...] = (
    *("127.0.0.1", "127.0.0.2", "127.255.255.255", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.9.8.7"),
    *("100.64.0.1", "100.100.100.200", "100.127.255.254", "169.254.169.254", "169.254.170.2"),
    *("168.63.129.16", "172.16.0.1", "172.20.10.1", "172.31.255.254", "192.0.0.1", "192.0.0.8"),
    *("192.0.0.170", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1"),
    *("192.168.0.1", "192.168.255.254", "192.175.48.1", "198.18.0.1", "198.19.255.254"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "233.252.0.1", "239.255.255.250", "240.0.0.1"),
    *("250.1.2.3", "255.255.255.255", "::", "::1", "::2", "::127.0.0.1", "::7f00:1", "::a00:1"),
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("::ffff:93.184.215.14", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1"),
    *("64:ff9b::169.254.169.254", "64:ff9b::93.184.215.14", "64:ff9b:1::1", "64:ff9b:1:ffff::1"),
    *("100::1", "100::ffff:ffff:ffff:ffff", "2001::1", "2001:0:7f00:1::1", "2001:1::1"),
    *("2001:2::1", "2001:3::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:db8::1"),
    *("2001:db8:ffff::1", "2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::1"),
    *("2002:5db8:d70e::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "5f00::1", "4000::1"),
    *("8000::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fdff:ffff::1"),
    *("fe80::1", "fe80::1%lo", "fe80::a9fe:a9fe%eth0", "febf::1", "fec0::1", "feff::1"),
    *("ff01::1", "ff02::1", "ff05::2", "ff0e::1", "ffff::1", "2a00:1450::5efe:a00:1"),
    *("2a00:1450::200:5efe:7f00:1", "2a00:1450::300:5efe:7f00:1", "1::1", "200::1", "::ffff:0:0"),
    *("", "localhost", "127.1", "0x7f.1", "2130706433", "127.0.0.1 ", "[::1]", "93.184.215.14/8"),
)

assert len(URLS) >= 150
assert len(RESOLVED) >= 100
