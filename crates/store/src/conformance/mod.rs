//! What every store promises, one function per promise.
//!
//! An engine's test is one call of [`all`]. The promises share one store, each
//! in a realm of its own, except the first, which finds the store empty.
//! A promise that is broken panics, as an assertion does.
//!
//! Length: every promise stands in one list, so that none is kept by one engine alone.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken promise ends the test that asked for it"
)]

mod access;
mod am;
mod audit;
mod census;
mod changes;
mod clients;
mod console;
mod enrolment;
mod events;
mod families;
mod foreign_use;
mod grants;
mod groups;
mod handing;
mod import;
mod installation;
mod issue;
mod jobs;
mod leases;
mod letters;
mod limits;
mod links;
mod list;
mod networks;
mod otp;
mod passkeys;
mod provisioning;
mod records;
mod repositories;
mod rotate;
mod services;
mod shadow;
mod single_sign_on;
mod state;
mod units;
mod update;
mod usage;
mod use_days;
mod use_notes;
mod users;
mod world;

use std::sync::Arc;

use counterfoil_authority::store::Store;

pub use world::World;

/// Runs promises one after the other, each in a world of its own, and counts on from `$kept`.
macro_rules! keep {
    ($store:expr, $kept:expr; $($module:ident :: { $($promise:ident),* $(,)? })*) => {{
        let mut number: u16 = $kept;
        $($(
            number += 1;
            tracing::debug!(number, promise = stringify!($promise));
            $module::$promise(World::new($store, number).await).await;
        )*)*
        number
    }};
}

/// Holds a store to every promise, and says how many there were.
///
/// # Panics
///
/// When one is broken. The store must be empty.
pub async fn all(store: Arc<dyn Store>) -> usize {
    installation::of_forty_initialisations_one_wins(&store).await;
    let kept = of_the_installation_and_its_people(&store, 1).await;
    let kept = of_people_who_leave(&store, kept).await;
    let kept = of_tokens(&store, kept).await;
    let kept = of_repositories(&store, kept).await;
    let kept = of_enrolment(&store, kept).await;
    let kept = of_coming_and_going(&store, kept).await;
    let kept = of_counting_and_listing(&store, kept).await;
    let kept = of_documents_and_ways_in(&store, kept).await;
    usize::from(of_records_and_changes(&store, kept).await)
}

#[rustfmt::skip]
async fn of_the_installation_and_its_people(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        installation::{
            a_store_that_answers_a_ping_can_be_written_to,
            initialising_again_changes_nothing,
            keys_are_listed_by_purpose_and_number,
            a_number_belongs_to_one_key,
            key_use_counts_secrets_of_tokens_that_are_not_revoked,
            a_purge_forgets_answers_whose_time_is_over,
            a_purge_forgets_secrets_that_were_retired_long_ago,
        }
        services::{
            a_realm_comes_back_as_it_was_stored,
            a_realm_is_replaced_on_condition_of_its_version,
            a_realm_name_is_given_once,
            a_service_comes_back_as_it_was_stored,
            a_service_must_name_what_exists,
            a_service_is_replaced_on_condition_of_its_version,
            services_are_listed_by_label_in_pages,
            a_service_with_live_tokens_stays,
            a_later_namesake_of_a_service_inherits_nothing,
        }
        users::{
            a_person_comes_back_as_they_were_stored,
            a_user_name_is_given_once,
            a_person_must_name_what_exists,
            a_person_is_replaced_on_condition_of_their_version,
            people_are_filtered_by_what_is_asked,
            pages_of_people_are_stable_while_others_arrive,
            of_forty_namesakes_one_arrives,
            of_forty_edits_of_one_version_one_wins,
            removing_a_person_ends_what_was_theirs,
            a_person_of_another_realm_is_unknown,
        }
        groups::{
            a_group_comes_back_with_the_number_of_its_members,
            a_group_name_is_given_once,
            memberships_are_set_and_taken,
            an_open_group_is_joined_and_left_and_has_no_roles,
            members_are_listed_by_name_in_pages,
            a_record_follows_the_memberships_of_its_owner,
            removing_a_group_ends_its_memberships_and_grants,
        }
        units::{
            a_unit_comes_back_as_it_was_stored,
            a_unit_name_is_given_once,
            a_unit_is_replaced_on_condition_of_its_version,
            a_unit_never_lies_below_itself,
            a_unit_to_which_something_belongs_stays,
        }
        grants::{
            a_grant_comes_back_as_it_was_stored,
            a_grant_must_name_what_exists,
            a_person_has_grants_by_name_and_through_groups,
            a_service_is_looked_after_by_its_managers_or_else_by_its_unit,
            a_client_has_its_own_grants,
            grants_are_listed_by_id_in_pages_and_removed,
        }
        clients::{
            a_client_arrives_with_its_key,
            a_client_name_is_given_once,
            a_client_must_name_what_exists,
            a_client_whose_key_cannot_be_stored_does_not_arrive,
            a_repeated_request_for_a_client_is_answered_as_before,
            a_client_is_replaced_on_condition_of_its_version,
            clients_are_listed_by_name_in_pages,
            removing_a_client_ends_its_keys_and_grants,
        }
    )
}

#[rustfmt::skip]
async fn of_repositories(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        repositories::{
            a_token_of_a_repository_is_found_in_it,
            a_serial_belongs_to_one_token_of_a_repository,
            a_repository_holds_no_more_of_a_person_than_allowed,
            a_next_credential_is_promoted_once,
            a_token_leaves_its_repository_for_good,
            a_token_of_the_stock_changes_hands,
            a_repository_is_listed_in_the_order_asked_for,
            a_next_credential_is_due_from_its_date,
        }
        letters::{
            a_letter_is_ordered_for_a_token_that_waits,
            letters_are_listed_as_they_were_ordered,
            of_forty_who_print_a_letter_one_gets_its_secret,
            of_forty_who_redeem_a_letter_one_activates_its_token,
            a_letter_that_is_not_good_activates_nothing,
        }
        jobs::{
            a_job_is_found_with_how_far_it_is,
            of_forty_who_work_on_an_item_one_changes_its_token,
            what_a_job_cannot_change_is_noted_with_its_reason,
            a_job_that_does_not_run_changes_nothing,
            the_oldest_running_job_is_next,
        }
    )
}

#[rustfmt::skip]
async fn of_people_who_leave(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        groups::{
            a_group_and_everybody_in_it_change_as_one,
            a_change_of_a_group_is_all_or_nothing,
            of_forty_changes_of_one_version_of_a_group_one_wins,
            what_a_provider_said_is_found_and_goes_with_the_person,
            a_later_namesake_of_a_group_is_another_one,
        }
        users::{ a_later_namesake_is_somebody_else }
        console::{ who_does_not_count_is_signed_out_with_that }
        handing::{
            a_token_gets_another_owner_and_nothing_else,
            what_cannot_be_handed_over_stays_where_it_is,
            of_forty_handed_to_one_as_many_arrive_as_may,
        }
    )
}

#[rustfmt::skip]
async fn of_tokens(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        issue::{
            a_token_comes_back_as_it_was_issued,
            a_token_of_another_realm_is_unknown,
            nobody_receives_a_token_who_does_not_exist,
            a_token_for_a_removed_service_is_not_stored,
            a_taken_id_is_refused_without_a_trace,
            a_taken_hash_is_refused_without_a_trace,
            a_repeated_issue_is_answered_as_before,
            a_key_of_another_request_is_refused,
            a_key_counts_for_its_caller_until_its_end,
            of_forty_equal_issues_one_takes_effect,
            a_refused_issue_keeps_no_answer,
            an_issue_is_recorded_once,
        }
        limits::{
            a_limit_refuses_one_more,
            only_live_tokens_of_the_same_sort_count,
            a_limit_on_slow_hashes_counts_only_those,
            the_oldest_gives_way_where_policy_says_so,
            of_a_hundred_issues_one_stays_active,
            a_limit_of_the_realm_counts_over_all_services,
            a_limit_of_the_realm_replaces_nothing,
            of_fifty_issues_as_many_succeed_as_the_realm_allows,
            of_a_hundred_issues_as_many_succeed_as_are_allowed,
        }
        records::{
            a_record_tells_what_verify_needs,
            a_record_tells_how_its_owner_stands,
            a_record_tells_of_a_client,
            a_token_is_found_by_its_hash_only_where_it_is_said_so,
            slow_records_are_those_of_the_person_and_the_service,
            an_unknown_token_has_no_record,
        }
        update::{
            what_may_be_edited_is_edited,
            what_may_not_be_edited_stays,
            an_edit_needs_the_version_and_what_it_names,
            of_forty_edits_of_a_token_one_wins,
            an_edit_takes_a_place_only_where_it_had_none,
            of_forty_moves_as_many_succeed_as_there_is_room,
        }
        rotate::{
            a_rotation_makes_the_former_secret_previous,
            a_former_secret_never_lives_longer_than_it_would_have,
            a_token_that_ended_gets_no_new_secret,
            a_rotation_needs_the_version_it_names,
            of_forty_conditional_rotations_one_wins,
            all_of_forty_rotations_count_for_the_overlap,
            of_forty_equal_rotations_one_takes_effect,
            a_rotation_that_is_only_asked_for_again_makes_nothing,
            a_token_never_keeps_more_secrets_than_allowed,
            a_taken_hash_leaves_the_former_secret_current,
        }
        state::{
            switches_are_idempotent,
            a_switch_needs_the_version_it_names,
            revocation_is_final,
            revocation_reaches_what_was_derived_and_nothing_else,
            a_switch_of_an_unknown_token_is_not_found,
            of_forty_revocations_one_is_recorded,
        }
    )
}

#[rustfmt::skip]
async fn of_enrolment(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        enrolment::{
            an_auth_token_comes_back_as_it_was_drawn,
            of_forty_draws_as_many_succeed_as_are_counted,
            nothing_is_drawn_from_what_is_not_active,
            a_draw_counts_for_the_version_it_was_judged_by,
            of_forty_equal_draws_one_is_counted,
            each_threshold_is_told_of_once,
            a_count_is_never_less_than_what_is_taken,
            a_request_holds_a_draw_until_it_is_decided,
            of_forty_decisions_about_a_request_one_counts,
            a_request_that_nobody_decides_is_let_go,
            a_token_whose_issue_nobody_approves_ends,
            a_draw_that_is_freed_is_judged_by_the_rules_too,
            the_first_draws_are_counted_and_the_others_wait,
            rules_about_other_draws_hold_in_the_same_transaction,
            a_device_that_draws_again_is_treated_as_the_rule_says,
            draws_are_given_back_in_a_column_of_their_own,
            what_was_drawn_outlives_its_registration_token,
            what_falls_due_is_done_once,
            auth_tokens_are_found_by_their_devices,
        }
        families::{
            a_refresh_makes_the_successor_current,
            a_retry_gets_the_same_successor_and_a_reuse_ends_the_family,
            of_forty_equal_refreshes_one_makes_the_successor,
            retries_beyond_their_limit_are_refused,
            a_refresh_needs_the_key_that_is_pinned,
            a_refresh_that_leads_to_nothing_rotates_nothing,
            an_edit_replaces_what_a_client_says_of_itself,
            a_secret_whose_hash_is_gone_ends_the_family_if_it_was_made_here,
            what_is_not_active_is_not_refreshed,
        }
    )
}

#[rustfmt::skip]
async fn of_coming_and_going(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        repositories::{
            a_token_of_a_repository_is_found_in_it,
            a_serial_belongs_to_one_token_of_a_repository,
            a_repository_holds_no_more_of_a_person_than_allowed,
            a_next_credential_is_promoted_once,
            a_token_leaves_its_repository_for_good,
            a_token_of_the_stock_changes_hands,
            a_repository_is_listed_in_the_order_asked_for,
            a_next_credential_is_due_from_its_date,
        }
        links::{
            a_token_waits_for_its_link_without_a_secret,
            an_opening_gives_the_token_its_secret,
            of_sixty_four_openings_one_wins,
            a_link_that_has_ended_does_not_open,
            a_link_whose_id_is_taken_is_refused_without_a_trace,
            an_issue_by_link_obeys_what_every_issue_obeys,
            a_purge_forgets_links_that_ended_long_ago,
        }
        otp::{
            an_authentication_token_comes_back_as_it_was_enrolled,
            an_enrolment_obeys_what_every_issue_obeys,
            a_batch_of_authentication_tokens_is_stored_whole_or_not_at_all,
            what_waits_in_stock_is_none_of_its_keepers_codes,
            of_sixty_four_presenters_of_one_place_one_is_accepted,
            of_sixty_four_presenters_of_one_backup_code_one_is_accepted,
            a_code_is_accepted_of_an_active_token_only,
            a_code_counts_as_many_uses_as_are_allowed,
            a_token_is_good_for_nothing_before_it_is_confirmed,
            codes_are_replaced_as_a_whole_and_not_too_often,
            wrong_codes_end_the_one_that_was_sent,
            seeds_are_sealed_anew_one_by_one,
            a_purge_forgets_codes_that_ended_long_ago,
        }
        import::{
            a_batch_arrives_whole_and_in_its_order,
            a_batch_with_an_obstacle_leaves_no_trace,
            a_hash_that_was_taken_over_comes_back_with_its_recipe,
        }
        provisioning::{
            a_target_comes_back_as_it_was_stored,
            what_happens_to_a_person_is_one_delivery,
            an_attempt_settles_only_what_it_knew_of,
            messages_about_one_object_keep_their_order,
            nothing_is_on_its_way_to_a_target_that_is_gone,
            directory_hashes_come_with_their_token,
            the_end_of_a_persons_token_is_told_of_at_each_threshold,
            a_realm_that_gets_a_target_is_told_of_all_its_tokens,
        }
    )
}

#[rustfmt::skip]
async fn of_counting_and_listing(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        networks::{
            a_new_network_is_told_of_once,
            too_many_networks_are_told_of_once_a_day,
            of_forty_networks_at_once_all_are_new_but_the_first_and_one_is_too_many,
            networks_of_a_token_are_bounded_and_forgotten_after_their_time,
        }
        usage::{
            exactly_as_many_uses_are_counted_as_allowed,
            a_use_is_counted_only_of_an_active_token,
            an_unlimited_token_is_counted_too,
            a_counted_use_is_bookkept_once,
            bookkeeping_adds_up_and_never_runs_backwards,
            a_refusal_alone_is_no_use,
            a_token_was_of_use_when_it_was_issued_used_or_given_a_secret,
            forty_flushes_lose_nothing,
            usage_that_comes_in_masses_is_all_there_once_settled,
            a_rehash_replaces_the_same_secret_only,
            a_flush_stores_its_events,
        }
        list::{
            tokens_are_listed_newest_first_in_pages,
            pages_of_tokens_are_stable_while_others_arrive,
            tokens_are_filtered_by_owner_service_kind_and_name,
            tokens_are_filtered_by_state,
            tokens_are_filtered_by_labels_and_unit,
            tokens_are_listed_for_who_looks_after_a_unit,
            tokens_are_filtered_by_end_and_use,
            tokens_are_filtered_by_the_services_one_may_see,
            tokens_for_every_service_are_found_by_themselves,
            any_text_is_a_place_in_a_list,
            a_short_look_ends_and_goes_on,
        }
        census::{
            every_token_is_counted_once_by_what_it_is,
            what_ends_soon_or_rests_is_counted_while_it_is_active,
            a_registration_token_is_scarce_when_four_fifths_are_drawn,
            refusals_are_counted_by_hour_and_reason,
        }
        events::{
            events_are_listed_newest_first_in_pages,
            events_are_filtered_by_what_is_asked,
            an_event_comes_back_as_it_was_told,
            an_event_of_an_unknown_kind_is_told_as_it_is,
            a_short_look_at_events_ends_and_goes_on,
        }
        access::{
            an_access_token_comes_back_until_it_has_ended,
            the_latest_use_of_an_access_token_is_known,
            an_access_token_is_revoked_once,
            the_feed_names_what_has_not_ended,
            a_proof_is_used_once,
            a_report_of_a_leak_is_taken_once_and_whole,
        }
    )
}

#[rustfmt::skip]
async fn of_documents_and_ways_in(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        am::{
            a_document_comes_back_as_it_was_stored,
            a_document_must_name_what_exists,
            a_document_has_its_name_for_itself,
            a_document_is_replaced_on_condition_of_its_version,
            a_document_that_others_name_stays,
            documents_change_together_or_not_at_all,
            of_forty_who_move_a_document_one_does,
        }
        console::{
            a_link_that_has_ended_gives_no_password,
            a_session_comes_back_as_it_began,
            a_link_gives_a_person_a_password_once,
            of_forty_first_administrators_one_is_the_first,
            a_session_begins_under_the_present_password,
            sessions_of_a_person_are_ended_by_them_alone,
            removing_a_person_ends_what_they_signed_in_with,
        }
        single_sign_on::{
            what_was_begun_is_handed_out_once,
            a_second_way_takes_the_place_of_the_first,
            who_is_known_elsewhere_is_one_person_here,
            a_name_that_is_taken_is_nobody_elses,
            roles_come_and_go_with_what_is_said,
            of_forty_first_sign_ins_one_makes_the_person,
            a_session_without_a_password_needs_the_person,
            who_is_removed_is_known_elsewhere_no_more,
        }
        passkeys::{
            a_passkey_comes_back_as_it_was_added,
            a_passkey_gets_another_name,
            of_forty_passkeys_at_once_as_many_are_added_as_anybody_may_have,
            a_first_passkey_is_the_first,
            a_session_begins_by_a_passkey_whose_count_goes_on,
            of_forty_uses_with_one_count_one_is_taken,
            a_passkey_proves_anew_who_somebody_is,
            a_passkey_that_was_removed_is_good_for_nothing,
            a_passkey_is_asked_for_while_there_is_one,
            who_is_removed_leaves_no_passkey,
        }
    )
}

#[rustfmt::skip]
async fn of_records_and_changes(store: &Arc<dyn Store>, kept: u16) -> u16 {
    keep!(store, kept;
        audit::{
            every_event_waits_until_it_is_in_its_log,
            a_log_tells_what_a_proof_needs,
            what_is_sealed_leaves_the_others_waiting,
            of_forty_who_seal_the_same_events_one_does,
            what_forty_record_while_others_seal_is_in_the_log_once,
            a_log_grows_only_under_the_lease_and_where_it_ends,
            what_a_witness_has_only_grows,
            events_are_removed_only_from_behind_and_once_they_are_sealed,
        }
        foreign_use::{
            uses_of_a_foreign_token_add_up_and_never_run_backwards,
            of_forty_uses_of_a_foreign_token_as_many_are_counted_as_allowed,
            a_foreign_token_that_was_removed_is_forgotten,
        }
        shadow::{
            a_difference_is_one_row_that_adds_up,
            what_is_not_the_same_is_another_row,
            what_forty_nodes_met_at_once_adds_up,
            a_report_is_cleared_with_its_event_and_of_its_realm_alone,
            of_too_many_differences_the_latest_are_kept,
            differences_are_forgotten_after_their_time,
        }
        use_days::{
            uses_of_a_day_add_up_and_their_last_never_runs_backwards,
            days_of_use_are_forgotten_after_their_time,
        }
        use_notes::{
            a_use_is_known_by_what_it_was_for_and_by_its_latest_day,
            a_use_counts_for_all_that_its_token_was_derived_from,
            of_too_many_scopes_only_that_is_known,
            what_a_token_was_used_for_is_forgotten_after_its_time,
            what_an_edit_gives_is_known_by_its_day,
            an_edit_that_a_use_came_before_is_refused,
            of_forty_edits_judged_by_one_use_one_wins,
            the_watch_begins_once_and_only_moves_on,
        }
        leases::{
            a_lease_is_held_by_one_at_a_time,
            of_forty_that_ask_for_a_lease_one_has_it,
            work_under_a_lease_that_was_lost_is_not_done,
        }
        changes::{
            listeners_know_before_the_caller_does,
            the_log_tells_what_changed_in_order,
            the_log_is_read_in_pieces,
            issuing_is_no_change,
            what_changes_nothing_is_no_change,
            whoever_was_away_too_long_forgets_everything,
            whoever_comes_from_elsewhere_forgets_everything,
        }
    )
}
