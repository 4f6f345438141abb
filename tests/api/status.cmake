# SPDX-License-Identifier: Apache-2.0
# The C functions over the real run time, with a thread in sluiced's place and a port in memory. The library's
# sources are compiled in, since the test attaches that port behind the exported functions.
if(TARGET sluice_runtime AND TARGET GTest::gtest)
  file(GLOB fwp_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/control/fwp/*.cpp)
  set(runtime_tests ${PROJECT_SOURCE_DIR}/tests/unit/runtime)
  add_executable(api_status_test
    status_test.cpp status_world.cpp status_sessions.cpp status_objects.cpp status_filters.cpp
    status_enumerations.cpp status_injections.cpp odd_inputs.cpp status_lists.cpp status_packets.cpp status_subscriptions.cpp status_redirects.cpp sockets_test.cpp conversions_test.cpp
    ${runtime_tests}/fake_sluiced.cpp ${fwp_sources})
  target_include_directories(api_status_test PRIVATE ${runtime_tests})
  target_link_libraries(api_status_test PRIVATE sluice_runtime sluice_guids spdlog::spdlog GTest::gtest)
  set_target_properties(api_status_test PROPERTIES UNITY_BUILD OFF)
  gtest_discover_tests(api_status_test TEST_PREFIX api. PROPERTIES LABELS api)
  api_test(status_pairs ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/status_pairs_test.py ${api}
    $<TARGET_FILE:api_status_test>)
  if(TARGET sluiced)
    api_test(status_real ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/status_real.py
      $<TARGET_FILE:sluiced> $<TARGET_FILE:api_status_test> $<TARGET_FILE:api_drivers_test>)
    set_tests_properties(api.status_real PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 RUN_SERIAL ON)
  endif()
endif()
