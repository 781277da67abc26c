"""Settings of identity prove nobody, and trust no further issuer, unless they say so."""

from outrider.config.identity_settings import Identity, OidcIssuer, SvidFiles, WorkloadApi


def test_no_source_and_no_further_issuer_or_trust_domain_unless_said():
    identity = Identity()
    assert (identity.source, identity.spiffe_id, identity.audience) == ("none", None, None)
    assert (identity.oidc, identity.trust_domains, identity.trust_bundles) == ({}, (), {})
    assert (identity.jwt_leeway_s, identity.jwt_max_life_s) == (5, 3600)


def test_a_denial_counts_at_once_unless_a_grace_is_said():
    assert WorkloadApi().denied_grace_s == 0


def test_files_have_the_names_that_spiffe_helper_gives_them():
    files = SvidFiles()
    assert (files.certificate, files.key) == ("svid.pem", "svid_key.pem")
    assert (files.bundle, files.federated) == ("svid_bundle.pem", {})


def test_an_issuer_gives_access_tokens_to_services_for_an_hour_unless_said():
    issuer = OidcIssuer(issuer="https://issuer.test", audience="outrider")
    assert (issuer.token, issuer.subject_type, issuer.max_life_s) == ("access", "service", 3600)
    assert issuer.algorithms == ("RS256", "ES256")
