# Not run: written from the documentation of the JWT auth method of Vault.
#
# Programs log in to Vault with a token of Hallpass, at auth/hallpass/login.
vault auth enable -path=hallpass jwt
vault write auth/hallpass/config \
  jwks_url=https://hallpass.example.com/oauth2/jwks \
  jwks_ca_pem=@/etc/oauth2/ca.crt \
  bound_issuer=https://hallpass.example.com \
  jwt_supported_algs=ES256
# The audience is status.identifier of an OAuth2Resource that stands for this Vault. bound_claims
# names the client: without it, each client that the resource consents to has the role.
# claim_mappings puts the client into the audit log of Vault.
vault write auth/hallpass/role/reporting - <<'JSON'
{
  "role_type": "jwt",
  "bound_audiences": ["https://hallpass.example.com/resources/platform/vault"],
  "user_claim": "sub",
  "bound_claims": {"sub": "shop.reporting", "client_id": "shop.reporting"},
  "claim_mappings": {"client_id": "client_id"},
  "token_policies": ["reporting"],
  "token_ttl": "15m"
}
JSON
