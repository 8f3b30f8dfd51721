package secrets_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
)

// Tokens that another implementation of Ed25519 has signed, with seeds of one repeated byte.
const (
	componentKey = "MCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJPUL"
	providerKey  = "VDWUSKGGFDI4FRXK5EBTRECZSVQSSWJHHJOGH6JWG3AUMFFMQ435CDVS"
	issuerKey    = "ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU"
	hostID       = "NDFJHLAXAUMHA4OWPOB4P7YO72AQR2HMIUYFOXLXE2DZGM633K7HYIY6"

	componentToken = "eyJ0eXAiOiJqd3QiLCJhbGciOiJFZDI1NTE5In0.eyJqdGkiOiJxdmVOakZjcW51dWhQaVJUMkU1YWJXIiwiaWF0IjoxNzIxODM0ODg5LCJpc3MiOiJBQ0ZJUlk2NU9RRTdERlA1S0xOUzJQRjJMVlpNVVpZSlg0T1pJRVEzNk4ySVFBTlVCNVhWWVlPVSIsInN1YiI6Ik1DQVRTNVlPVkI2Uk9YMldVTktHTlEyTVAzR01YRE1LU0cyTzRONUNMWDNBNlc0UFpHWlpKUFVMIiwid2FzY2FwIjp7Im5hbWUiOiJodHRwLWhlbGxvLXdvcmxkIiwiaGFzaCI6IkNFOTAxOTJDOTlDMEIyQzYwOEIyRTJDQjYxOUE5MjUxRkI2ODE4NTZDMTU2ODFCMUJDRDYyRUVEQTJENTEyOEUiLCJ0YWdzIjpbIndhc21jbG91ZC5jb20vZXhwZXJpbWVudGFsIl0sInJldiI6MCwidmVyIjoiMC4xLjAiLCJwcm92IjpmYWxzZX0sIndhc2NhcF9yZXZpc2lvbiI6M30.QXl-l19tr4LyD7b4zievcYPApGcC_V0uIHqaE7fJKIvaBDMsxLyUUdf4NEMc5ETezm0gSjQT1Sny_19LZkwOBQ"
	providerToken  = "eyJ0eXAiOiJqd3QiLCJhbGciOiJFZDI1NTE5In0.eyJqdGkiOiJwIiwiaWF0IjoxNzIxODM0ODg5LCJpc3MiOiJBQ0ZJUlk2NU9RRTdERlA1S0xOUzJQRjJMVlpNVVpZSlg0T1pJRVEzNk4ySVFBTlVCNVhWWVlPVSIsInN1YiI6IlZEV1VTS0dHRkRJNEZSWEs1RUJUUkVDWlNWUVNTV0pISEpPR0g2SldHM0FVTUZGTVE0MzVDRFZTIiwid2FzY2FwIjp7Im5hbWUiOiJzcWxkYiIsInZlbmRvciI6ImFjbWUiLCJyZXYiOjEsInZlciI6IjAuMTEuMCIsInRhcmdldF9oYXNoZXMiOnsieDg2XzY0LWxpbnV4IjoiQUIifSwiY29uZmlnX3NjaGVtYSI6bnVsbH0sIndhc2NhcF9yZXZpc2lvbiI6M30.7CvaeroW43GuoGNTSMkS6KpjflLIwGyKb_WI_8qqOsh96U-ZwrOvvBsXixhntr8C4JtBdRWnpuhKlxbwOITcAw"
	hostToken      = "eyJ0eXAiOiJqd3QiLCJhbGciOiJFZDI1NTE5In0.eyJqdGkiOiJuTGdta2Zud2p2Nkw1R28xSlNUdU0zIiwiaWF0IjoxNzIyMDE5OTk1LCJpc3MiOiJBQlhIVUhHNUZHWUxQRDZSSEwyTUtXTVA1NzJPNktVWENaWERaSlhTNFQ1N1pUTUFLQk43REFRSSIsInN1YiI6Ik5ERkpITEFYQVVNSEE0T1dQT0I0UDdZTzcyQVFSMkhNSVVZRk9YTFhFMkRaR002MzNLN0hZSVk2Iiwid2FzY2FwIjp7Im5hbWUiOiJkZWxpY2F0ZS1icmVlemUtOTc4NSIsImxhYmVscyI6eyJzZWxmX3NpZ25lZCI6InRydWUifX0sIndhc2NhcF9yZXZpc2lvbiI6M30.ATWj4deLtWEpROLS909KL7m52xe1RLLE60PkCWD-yeJanAd7fCxekJoymqBXp7ny5omedjeANF22qC2cXIsyAw"
)

// claims of a component, without the braces: tables add to them.
const componentClaims = `"iat":1721834889,"iss":"` + issuerKey + `","sub":"` + componentKey + `"`

const header = `{"typ":"jwt","alg":"Ed25519"}`

// sign makes a token of raw texts with the issuer's key.
func sign(header, claims string) string {
	return signWith(1, header, claims)
}

func signWith(seed byte, header, claims string) string {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}
