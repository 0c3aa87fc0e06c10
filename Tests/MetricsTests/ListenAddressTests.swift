import Metrics
import Reporting
import Testing

@Suite struct ListenAddressTests {
  @Test(arguments: [
    ("9400", "127.0.0.1:9400"), ("127.0.0.1:1", "127.0.0.1:1"), ("0.0.0.0:65535", "0.0.0.0:65535"),
    ("localhost:80", "127.0.0.1:80"), ("[::1]:9400", "[::1]:9400"), ("[::]:9400", "[::]:9400"),
    ("[FE80:0:0::1]:9400", "[fe80::1]:9400"),
  ]) func validAddressIsParsed(text: String, expected: String) throws {
    let address = try ListenAddress(text)
    #expect(address.description == expected)
    #expect(try ListenAddress(address.description) == address)
  }

  @Test(arguments: [
    ("", "no port given"), ("x", "no port given"), ("127.0.0.1", "no port given"),
    (":9400", "no address given"),
    ("127.0.0.1:", "invalid port ''"), ("127.0.0.1:0", "invalid port '0'"),
    ("1.2.3.4:65536", "invalid port '65536'"),
    ("1.2.3.4:+1", "invalid port"), ("0", "invalid port 0"), ("65536", "invalid port 65536"),
    ("-1", "invalid port -1"),
    ("example.org:80", "'example.org' is not an IP address"), ("1.2.3:80", "not an IP address"),
    ("::1:9400", "write [::1]:9400"), ("[127.0.0.1]:80", "not an IP address"), ("[::1]", "invalid port"),
    ("1.2.3.4\0:80", "not an IP address"), ("١٢٧.0.0.1:80", "not an IP address"),
    ("1.2.3.4:٨", "invalid port"),
  ]) func invalidAddressIsRejected(text: String, why: String) {
    let error = #expect(throws: MetricsError.self) { try ListenAddress(text) }
    #expect(error?.what.contains(why) == true, "\(error?.what ?? "")")
  }
}
