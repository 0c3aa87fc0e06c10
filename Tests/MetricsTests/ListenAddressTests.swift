import Metrics
import Testing

@Suite struct ListenAddressTests {
  @Test(arguments: [
    ("9400", "127.0.0.1:9400"), ("127.0.0.1:1", "127.0.0.1:1"), ("0.0.0.0:65535", "0.0.0.0:65535"),
    ("localhost:80", "127.0.0.1:80"), ("[::1]:9400", "[::1]:9400"), ("[::]:9400", "[::]:9400"),
    ("[FE80:0:0::1]:9400", "[fe80::1]:9400"),
  ]) func whatCanBeListenedOn(text: String, expected: String) throws {
    let address = try ListenAddress(text)
    #expect(address.description == expected)
    #expect(try ListenAddress(address.description) == address)
  }

  @Test(arguments: [
    ("", "it has no port"), ("x", "it has no port"), ("127.0.0.1", "it has no port"),
    (":9400", "the address is missing"),
    ("127.0.0.1:", "'' is no port"), ("127.0.0.1:0", "'0' is no port"),
    ("1.2.3.4:65536", "'65536' is no port"),
    ("1.2.3.4:+1", "no port"), ("0", "0 is no port"), ("65536", "65536 is no port"), ("-1", "-1 is no port"),
    ("example.org:80", "'example.org' is no IP address"), ("1.2.3:80", "no IP address"),
    ("::1:9400", "write [::1]:9400"), ("[127.0.0.1]:80", "no IP address"), ("[::1]", "no port"),
    ("1.2.3.4\0:80", "no IP address"), ("١٢٧.0.0.1:80", "no IP address"), ("1.2.3.4:٨", "no port"),
  ]) func whatCannot(text: String, why: String) {
    let error = #expect(throws: MetricsError.self) { try ListenAddress(text) }
    #expect(error?.what.contains(why) == true, "\(error?.what ?? "")")
  }
}
